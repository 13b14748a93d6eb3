"""A worker of `livekit-agents`, named or not, without a model; LiveKit's variables say where."""

import os

from livekit.agents import JobContext, WorkerOptions, cli
from livekit.agents.inference_runner import _InferenceRunner


async def entrypoint(ctx: JobContext) -> None:
    """Join the room."""
    await ctx.connect()


if __name__ == "__main__":
    _InferenceRunner.registered_runners.clear()
    cli.run_app(
        WorkerOptions(
            entrypoint_fnc=entrypoint,
            agent_name=os.environ.get("AGENT_NAME", ""),
            port=0,
            num_idle_processes=1,
            load_fnc=lambda *_: 0.0,
        )
    )
