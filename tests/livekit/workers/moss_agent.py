"""A worker as Moss's page "Voice Agents" documents it, without a model: it joins, and reports its session at the end."""

import os
from types import SimpleNamespace

from livekit.agents import JobExecutorType
from livekit.agents.inference_runner import _InferenceRunner
from moss_voice_agent_manager import (
    Agent,
    AgentSession,
    JobContext,
    MossAgentSession,
    MossConfig,
    WorkerOptions,
    WorkerType,
    cli,
)


async def entrypoint(ctx: JobContext) -> None:
    """Join the room; post the session report when the call ends."""
    config = MossConfig.from_platform()
    await ctx.connect()
    await AgentSession().start(Agent(instructions="Listen."), room=ctx.room)

    async def report() -> None:
        # The method needs nothing else of the object, whose constructor wants the keys of model providers.
        await MossAgentSession.submit_session_report(SimpleNamespace(_config=config), ctx, ctx.room.name)

    ctx.add_shutdown_callback(report)


if __name__ == "__main__":
    _InferenceRunner.registered_runners.clear()  # it would download a model
    moss_config = MossConfig.from_platform()
    cli.run_app(
        WorkerOptions(
            entrypoint_fnc=entrypoint,
            ws_url=moss_config.platform_ws_url,
            api_key=moss_config.platform_api_key,
            api_secret=moss_config.platform_api_secret,
            agent_name=moss_config.voice_agent_name,
            worker_type=WorkerType.ROOM,
            port=0,
            job_executor_type=JobExecutorType.THREAD,  # a process would import everything again
            num_idle_processes=1,
            load_fnc=lambda *_: float(os.environ.get("WORKER_LOAD", "0")),
        )
    )
