"""What a running server is asked to change: settings, application, number of workers.

    reload (SIGHUP)             the settings, then new workers in the place of all old ones
    restart_workers (SIGUSR2)   the same without reading the settings
    resize (SIGTTIN, SIGTTOU)   workers more, or the last ones drain

:mod:`server.supervisor` and the command socket call these, and tell what becomes of workers. Each
answers with ``{ok: True, ...}`` or ``{ok: False, error: text}``, when it is over. One change of the
crew runs at a time (:mod:`server.changeover`); what is asked for meanwhile is refused.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from server import reload
from server.changeover import Changeover
from server.crew import Crew
from server.errors import ServerError
from server.notify import Notifier
from server.post import Post
from server.resources import Resources
from server.settings import Settings
from server.spare import Spare
from shm import logs
from shm.launch import LogOrder

ROLE: Final = "supervisor"

Answer = Callable[[dict[str, Any]], None]
Tell = Callable[[dict[str, Any]], Any]


def _ignore(_: dict[str, Any]) -> None:
    """The log has said it."""


class Changes:
    """The settings in force, and the change that runs.

    ``begin`` is called when there are resources and a crew.
    """

    def __init__(self, load: Callable[[], Settings], tell_helpers: Tell) -> None:
        self._load = load
        self._tell_helpers = tell_helpers
        self._changeover: Changeover | None = None
        self._generation = 0
        self.settings = self._next = load()
        self.log_order = LogOrder(
            self.settings.log.level, self.settings.log.format, self.settings.log_file
        )

    def begin(
        self, log: Any, resources: Resources, crew: Crew, notifier: Notifier, spare: Spare
    ) -> None:
        """From now on changes can be asked for; files are read with the spare descriptors."""
        self._log, self._resources, self._crew, self._notifier = log, resources, crew, notifier
        self._spare = spare

    def end(self) -> None:
        """The server stops: a change that runs comes to nothing."""
        if self._changeover is not None:
            self._changeover.abandon("the server stops")

    def settings_for(self, post: Post) -> Settings:
        """What the worker of a post is started with."""
        running = self._changeover
        new = running is not None and post.generation == running.generation
        return self._next if new else self.settings

    def reload(self, answer: Answer = _ignore) -> None:
        """Read the settings again, apply them, and let new workers load the application.

        The answer has ``live``, ``fresh`` and ``needs_restart``: keys, see :mod:`server.reload`.
        Settings with faults change nothing at all. The log file is opened anew in any case.
        """
        self.reopen_logs()
        if self._refused("reload", answer):
            return
        answer = self._notifier.reloading(answer)
        try:
            with self._spare.lent():
                wanted = self._load()
                plan = reload.plan(self.settings, wanted)
                # Before anything is changed: whether it can be told.
                reload.messages(plan.live)
                changed = self._resources.apply_credentials(wanted)
        except (ServerError, reload.TooLongError) as error:
            self._log.error("not reloaded", reason=str(error))
            answer({"ok": False, "error": str(error)})
            return
        if changed:
            self._resources.segment.renew_catalog()
        self._next = reload.merged(self.settings, wanted, plan.needs_restart)
        self.settings = reload.merged(self.settings, wanted, (*plan.needs_restart, *plan.fresh))
        self._tell_all(plan.live)
        keys = {
            "live": list(plan.live),
            "fresh": list(plan.fresh),
            "needs_restart": list(plan.needs_restart),
        }
        told = {name: ",".join(found) for name, found in keys.items() if found}
        self._log.info("settings reloaded", **told, **changed)
        resized = "iproto.threads" in plan.fresh
        count = self._next.worker_count if resized else len(self._crew.serving())
        self._replace("reload", count, answer, keys)

    def adjust(self, values: dict[str, Any], worker: int) -> None:
        """Let all processes have what an application of a worker has set.

        What it may not set, or what is wrong, is said in the log. Reading the settings again brings
        back what they say.
        """
        try:
            adjusted = reload.adjusted(self.settings, values)
            self._next = reload.adjusted(self._next, values)
        except ValueError as error:
            self._log.error("not changed for an application", worker=worker, reason=str(error))
            return
        live = reload.plan(self.settings, adjusted).live
        self.settings = adjusted
        if live:
            self._tell_all(live)
            told = {key: str(value) for key, value in live.items()}
            self._log.info("settings changed by an application", worker=worker, **told)

    def _tell_all(self, live: Mapping[str, Any]) -> None:
        """Let every process have these values, by dotted keys."""
        self.log_order = self.log_order.changed(live)
        logs.configure(self.log_order, ROLE)
        for message in reload.messages(live):
            self._tell_helpers(message)
            self._crew.tell(message)

    def reopen_logs(self) -> None:
        """Let every process open the log file anew; without one nothing happens."""
        if self.log_order.file is None:
            return
        with self._spare.lent():
            logs.reopen()
        self._tell_helpers({"op": "reopen_logs"})
        self._crew.tell({"op": "reopen_logs"})
        self._log.info("log file reopened", file=self.log_order.file)

    def restart_workers(self, answer: Answer = _ignore) -> None:
        """New workers in the place of all old ones, with the settings as they are."""
        if not self._refused("restart of workers", answer):
            self._next = self.settings
            self._replace("restart of workers", len(self._crew.serving()), answer, {})

    def resize(self, by: int, answer: Answer = _ignore) -> None:
        """So many workers more, or fewer when ``by`` is below 0; the last ones drain."""
        count = "one worker" if abs(by) == 1 else f"{abs(by)} workers"
        what = f"{count} {'fewer' if by < 0 else 'more'}"
        if self._refused(what, answer):
            return
        serving = self._crew.serving()
        if by > 0:
            self._next = self.settings
            numbers = range(len(serving), len(serving) + by)
            self._change(what, self._generation, numbers, [], answer, {})
        elif len(serving) + by < 1:
            self._fail(what, f"one worker is the least, {len(serving)} serve", answer, {})
        else:
            leaving = serving[len(serving) + by :]
            self._crew.relieve([], leaving, self.settings.workers.drain_timeout)
            self._log.info(f"{what}: done", workers=len(serving) + by)
            answer({"ok": True, "workers": len(serving) + by})

    def resize_to(self, count: int, answer: Answer = _ignore) -> None:
        """So many workers in all."""
        self.resize(count - len(self._crew.serving()), answer)

    def worker_ready(self, post: Post) -> bool:
        """A worker is ready; whether it is one that a change has started."""
        running = self._changeover
        new = running is not None and post in running.new
        if running is not None:
            running.ready(post)
        return new

    def worker_failed(self, post: Post, reason: str) -> bool:
        """A worker says why it cannot serve; whether it is one that a change has started."""
        return self._changeover is not None and self._changeover.failed(post, reason)

    def worker_ended(self, post: Post, was_ready: bool, reason: str) -> None:
        """A worker's process has ended."""
        if self._changeover is not None:
            self._changeover.ended(post, was_ready, reason)

    def _refused(self, what: str, answer: Answer) -> bool:
        if self._changeover is not None:
            self._fail(what, "another change of the workers is not over", answer, {})
        return self._changeover is not None

    def _replace(self, what: str, count: int, answer: Answer, facts: dict[str, Any]) -> None:
        self._generation += 1
        old = self._crew.serving()
        self._change(what, self._generation, list(range(count)), old, answer, facts)

    def _change(
        self,
        what: str,
        generation: int,
        numbers: Sequence[int],
        old: Sequence[Post],
        answer: Answer,
        facts: dict[str, Any],
    ) -> None:
        free = self._crew.free()
        if free < len(numbers):
            reason = (
                f"{len(numbers)} new workers need as many rows, {free} are free: old workers have "
                f"not ended yet, or workers.max is too low"
            )
            self._fail(what, reason, answer, facts)
            return

        def done(running: Changeover, reason: str | None) -> None:
            if reason is not None:
                self._changeover = None
                self._fail(what, reason, answer, facts)
                return
            self.settings = self._next
            self._crew.relieve(running.new, running.old, self.settings.workers.drain_timeout)
            self._changeover = None
            workers = len(self._crew.serving())
            self._log.info(f"{what}: done", workers=workers)
            answer({"ok": True, "workers": workers, **facts})

        self._changeover = Changeover(self._crew, generation, numbers, old, done)
        self._changeover.begin()

    def _fail(self, what: str, reason: str, answer: Answer, facts: dict[str, Any]) -> None:
        self._log.error(f"{what}: failed, the workers stay as they are", reason=reason)
        answer({"ok": False, "error": reason, **facts})
