"""The orders that the supervisor's children get at their start, made of settings and resources."""

from __future__ import annotations

import socket

from server import reload
from server.post import Post
from server.resources import Resources
from server.settings import Settings
from shm.launch import AcceptorOrder, LogOrder, MetricsOrder, WorkerOrder


def worker(
    post: Post,
    settings: Settings,
    resources: Resources,
    version: str,
    log: LogOrder,
    control: socket.socket,
    intake: socket.socket,
) -> WorkerOrder:
    """For the worker of a post."""
    return WorkerOrder(
        index=post.index,
        number=post.number,
        count=int(resources.segment.header.serving),
        name=settings.name,
        version=version,
        segment=resources.segment.name,
        control=control,
        intake=intake,
        bus=(resources.bus[post.index][0], tuple(writer for _, writer in resources.bus)),
        app=None if settings.app.file is None else str(settings.app.file),
        catalog=str(resources.catalog),
        log=log,
        settings={
            "console_dialect": settings.console.dialect,
            "session_results": settings.compat.session_results,
            "fiber_user": settings.compat.fiber_user,
            "session_su": settings.compat.session_su,
            "scheduling": settings.process.scheduling,
            "max_packet_size": settings.iproto.max_packet_size,
            "jit_log": settings.developer.jit_log,
            **reload.live(settings),
        },
    )


def acceptor(
    settings: Settings, resources: Resources, version: str, log: LogOrder, control: socket.socket
) -> AcceptorOrder:
    """For the acceptor."""
    return AcceptorOrder(
        name=settings.name,
        version=version,
        segment=resources.segment.name,
        control=control,
        listeners=tuple(listener.socket for listener in resources.all_listeners),
        log=log,
        settings=reload.live(settings),
        proxied=frozenset(
            number for number, listener in enumerate(resources.all_listeners) if listener.uri.proxy
        ),
    )


def metrics(
    settings: Settings, resources: Resources, version: str, log: LogOrder, control: socket.socket
) -> MetricsOrder:
    """For the process of metrics."""
    return MetricsOrder(
        name=settings.name,
        version=version,
        segment=resources.segment.name,
        control=control,
        listeners=tuple(listener.socket for listener in resources.metrics),
        catalog=str(resources.catalog),
        log=log,
    )
