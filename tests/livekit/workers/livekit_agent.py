"""An unnamed worker of `livekit-agents`, without a model; it reads LiveKit's variables."""

from livekit.agents import JobContext, JobExecutorType, WorkerOptions, cli
from livekit.agents.inference_runner import _InferenceRunner


async def entrypoint(ctx: JobContext) -> None:
    """Join the room."""
    await ctx.connect()


if __name__ == "__main__":
    _InferenceRunner.registered_runners.clear()
    cli.run_app(
        WorkerOptions(
            entrypoint_fnc=entrypoint,
            port=0,
            job_executor_type=JobExecutorType.THREAD,
            num_idle_processes=1,
            load_fnc=lambda *_: 0.0,
        )
    )
