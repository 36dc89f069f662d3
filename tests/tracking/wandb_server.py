"""A small W&B server on loopback: answers what the client asks, keeps what it sends."""

import base64
import gzip
import json
import re
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

from tests.tracking.stored_run import StoredRun, in_json
from tests.tracking.wandb_artifacts import Artifacts

KEY, ENTITY = "0123456789" * 4, "laboratory"
RUN_FIELDS = ("sweepName", "commit", "description", "notes")


class Refused(Exception):  # noqa: N818
    """The status with which a request is answered; 0: the connection is closed without an answer."""

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


class _Serving(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that was killed or that gave up is no error of the server."""
        if not isinstance(sys.exception(), OSError):
            super().handle_error(request, client_address)


class WandbServer:
    """The server, reachable at `url` between `start` and `stop`; what it holds outlives both.

    Attributes:
        runs: what is stored, by project and id.
        deleted: runs that were there; W&B keeps their ids, and takes no run under one of them again.
        artifacts: likewise, by their own id.
        asked: every request in order, by GraphQL operation, or `file_stream`, `storage`.
        before, after: called with the name of a request before it has its effect, and between that
            and its answer; may raise `Refused`.
        unknown: requests that it has no answer to.
    """

    def __init__(self) -> None:
        self.runs: dict[tuple[str, str], StoredRun] = {}
        self.deleted: set[tuple[str, str]] = set()
        self.artifacts = Artifacts(lambda path: f"{self.url}/storage/artifacts/{quote(path)}")
        self.asked: list[str] = []
        self.unknown: list[str] = []
        self.before: Callable[[str], None] = lambda name: None
        self.after: Callable[[str], None] = lambda name: None
        self._port = 0
        self._lock = threading.Lock()
        self._serving: ThreadingHTTPServer | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    def variables(self, folder: Path, key: str = KEY) -> dict[str, str]:
        """The environment in which a client speaks to this server and leaves its files in `folder`."""
        folders = {f"WANDB_{name}_DIR": str(folder / name.lower()) for name in ("CACHE", "CONFIG", "DATA")}
        own = {"HOME": str(folder), "NETRC": str(folder / "netrc"), "WANDB_ERROR_REPORTING": "false"}
        return {"WANDB_BASE_URL": self.url, "WANDB_API_KEY": key, **folders, **own}

    def start(self) -> None:
        """Serves, on the same port every time."""
        self._serving = _Serving(("127.0.0.1", self._port), self._handler())
        self._port = self._serving.server_address[1]
        threading.Thread(target=self._serving.serve_forever, args=(0.02,), daemon=True).start()

    def stop(self) -> None:
        """Leaves the port; the connections that there are get no further answer."""
        if self._serving:
            serving, self._serving = self._serving, None
            serving.shutdown()
            serving.server_close()

    def named(self, project: str = "pglab") -> dict[str, StoredRun]:
        """The trained runs of a project by their name."""
        runs = [run for (of, _), run in self.runs.items() if of == project and run.job_type != "summary"]
        assert len({run.name for run in runs}) == len(runs)
        return {run.name: run for run in runs}

    def summaries(self, project: str = "pglab") -> dict[str, StoredRun]:
        """The summary runs of a project by their group."""
        runs = [run for (of, _), run in self.runs.items() if of == project and run.job_type == "summary"]
        assert len({run.group for run in runs}) == len(runs)
        return {run.group: run for run in runs}

    def answer(self, path: str, key: str, body: bytes) -> Any:
        """What a request gets back; raises `Refused`."""
        content = json.loads(body) if path == "/graphql" or path.endswith("/file_stream") else {}
        name = content.get("operationName") or path.split("/")[-1 if path.endswith("/file_stream") else 1]
        if path == "/graphql" and not content.get("operationName"):
            name = re.findall(r"(?:query|mutation)\s+(\w+)", content["query"])[0]
        self.asked.append(name)
        if self._serving is None:
            raise Refused(0)
        if key != KEY and name != "storage":
            raise Refused(401)
        self.before(name)
        with self._lock:
            if path.endswith("/file_stream"):
                project, run = path.split("/")[3:5]
                answer = self._receive(self.runs[project, run], content)
            elif path == "/graphql":
                answer = self._query(name, content.get("variables") or {})
            else:
                self._store(unquote(path).split("/", 5)[2:], body)
                answer = {}
        self.after(name)
        return answer

    def _receive(self, run: StoredRun, content: dict[str, Any]) -> dict[str, Any]:
        for name, part in content.get("files", {}).items():
            if name == "wandb-history.jsonl":
                run.lines |= {part["offset"] + place: line for place, line in enumerate(part["content"])}
            elif name == "wandb-summary.json":
                run.summary = json.loads(part["content"][-1])
        if content.get("complete"):
            run.exit_code = content["exitcode"]
        return {"exitcode": None, "limits": {}}

    def _store(self, where: list[str], content: bytes) -> None:
        """Takes a file of an artifact, or of a run: `runs`, its project and id, the file's name."""
        if where[0] == "artifacts":
            self.artifacts.store("/".join(where[1:]), content)
        else:
            self.runs[where[1], where[2]].files[where[3]] = content

    def _query(self, name: str, given: dict[str, Any]) -> dict[str, Any]:
        answers = {
            "Viewer": self._viewer,
            "RunResumeStatus": self._resume,
            "UpsertBucket": self._upsert,
            "DeleteRun": self._delete,
            "CreateRunFiles": self._files,
            "GetDefaultEntity": self._viewer,
            "Run": self._run,
            "Runs": self._list,
            "RunHistoryKeys": self._run,
            "RunParquetHistory": self._parquet,
            "HistoryPage": self._page,
            "RunFiles": self._stored,
            **self.artifacts.answers(),
        }
        if name not in answers:
            self.unknown.append(name)
            return {"errors": [{"message": f"no answer to {name}"}]}
        return {"data": answers[name](given)}

    def _viewer(self, given: dict[str, Any]) -> dict[str, Any]:
        viewer = {"id": "1", "entity": ENTITY, "username": ENTITY, "email": "", "flags": "{}", "admin": False}
        return {"viewer": viewer | {"teams": {"edges": []}}}

    def _resume(self, given: dict[str, Any]) -> dict[str, Any]:
        run = self.runs.get((given["project"], given["name"]))
        if run is None:
            return {"model": None}
        tail = json.dumps([line for _, line in sorted(run.lines.items())][-1:])
        more = {"historyTail": tail, "eventsTail": "[]", "logLineCount": 0, "eventsLineCount": 0}
        more["wandbConfig"] = json.dumps({"t": run.config["_wandb"]["value"]["t"]})  # without it nothing is resumed
        return {"model": {**self._project(run.project), "bucket": self._node(run) | more}}

    def _upsert(self, given: dict[str, Any]) -> dict[str, Any]:
        key = (given["project"], given["name"])
        if key in self.deleted:
            raise Refused(409)
        inserted = key not in self.runs
        run = self.runs.setdefault(key, StoredRun(given["name"], given["project"]))
        run.name = given["displayName"] or run.name
        run.group = given["groupName"] or run.group
        run.job_type = given["jobType"] or run.job_type
        run.tags = given["tags"] or run.tags
        run.config = json.loads(given["config"]) if given["config"] else run.config
        run.exit_code = None
        bucket = self._node(run) | {"project": self._project(run.project)}
        return {"upsertBucket": {"bucket": bucket, "inserted": inserted}}

    def _delete(self, given: dict[str, Any]) -> dict[str, Any]:
        (key,) = [key for key, run in self.runs.items() if run.id == given["id"]]
        del self.runs[key]
        self.deleted.add(key)
        return {"deleteRun": {"clientMutationId": None}}

    def _files(self, given: dict[str, Any]) -> dict[str, Any]:
        of_run = f"{self.url}/storage/runs/{given['project']}/{given['run']}"
        files = [{"name": name, "uploadUrl": f"{of_run}/{quote(name)}"} for name in given["files"]]
        return {"createRunFiles": {"runID": given["run"], "uploadHeaders": [], "files": files}}

    def _stored(self, given: dict[str, Any]) -> dict[str, Any]:
        stored = self.runs[given["project"], given["name"]].files
        of_all = {"url": "", "directUrl": "", "mimetype": "", "updatedAt": "", "md5": ""}
        wanted = [name for name in stored if name in given["fileNames"] or not given["fileNames"]]
        nodes = [{"id": name, "name": name, "sizeBytes": str(len(stored[name]))} | of_all for name in wanted]
        page = {"endCursor": None, "hasNextPage": False}
        files = {"edges": [{"node": node, "cursor": ""} for node in nodes], "pageInfo": page}
        return {"project": {"internalId": "1", "run": {"fileCount": len(nodes), "files": files}}}

    def _run(self, given: dict[str, Any]) -> dict[str, Any]:
        run = self.runs.get((given["project"], given["name"]))
        return {"project": {"run": run and self._node(run)}}

    def _list(self, given: dict[str, Any]) -> dict[str, Any]:
        """Pages of the runs with the wanted values in their configuration, the oldest first."""
        runs = [run for (project, _), run in self.runs.items() if project == given["project"]]
        if not runs:
            return {"project": None}
        wanted = {name.removeprefix("config."): value for name, value in json.loads(given["filters"]).items()}
        runs = [run for run in runs if wanted.items() <= {k: v for k, v in run.settings.items() if k in wanted}.items()]
        first = int(given["cursor"] or 0)
        last = min(first + given["perPage"], len(runs))
        edges = [{"node": self._node(runs[n]), "cursor": str(n + 1)} for n in range(first, last)]
        page = {"endCursor": str(last), "hasNextPage": last < len(runs)}
        return {"project": {"runCount": len(runs), "readOnly": False, "runs": {"edges": edges, "pageInfo": page}}}

    def _parquet(self, given: dict[str, Any]) -> dict[str, Any]:
        run = self.runs[given["project"], given["runName"]]
        rows = [in_json(row) for row in run.history]
        return {"project": {"run": {"parquetHistory": {"parquetUrls": [], "liveData": rows}}}}

    def _page(self, given: dict[str, Any]) -> dict[str, Any]:
        run = self.runs[given["project"], given["run"]]
        rows = [in_json(row) for row in run.history]
        inside = [json.dumps(row) for row in rows if given["minStep"] <= row["_step"] < given["maxStep"]]
        return {"project": {"run": {"history": inside[: given["pageSize"]]}}}

    def _project(self, name: str) -> dict[str, Any]:
        return {"id": name, "name": name, "entity": {"id": ENTITY, "name": ENTITY}}

    def _node(self, run: StoredRun) -> dict[str, Any]:
        last = max(run.steps, default=-1)
        return dict.fromkeys(RUN_FIELDS) | {
            "id": run.id,
            "name": run.id,
            "projectId": "1",
            "displayName": run.name,
            "state": run.state,
            "group": run.group,
            "jobType": run.job_type,
            "tags": run.tags,
            "config": json.dumps(run.config),
            "summaryMetrics": json.dumps(run.summary),
            "systemMetrics": "{}",
            "historyLineCount": len(run.lines),
            "historyKeys": {"lastStep": last, "keys": {}},
            "user": {"name": ENTITY, "username": ENTITY},
            "readOnly": False,
            "createdAt": "2026-01-01T00:00:00",
            "heartbeatAt": "2026-01-01T00:00:00",
        }

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                if self.headers.get("Content-Encoding") == "gzip":
                    body = gzip.decompress(body)
                key = base64.b64decode(self.headers.get("Authorization", "").removeprefix("Basic "))
                status = 200
                try:
                    answer = server.answer(self.path, key.decode().rpartition(":")[2], body)
                except Refused as refused:
                    status, answer = refused.status, {"errors": [{"message": "refused"}]}
                self.close_connection = not status
                if status:
                    self._send(status, json.dumps(answer).encode())

            do_PUT = do_GET = do_POST  # noqa: N815

            def _send(self, status: int, content: bytes) -> None:
                with suppress(OSError):  # a client that was killed
                    self.send_response(status)
                    self.send_header("Content-Type", "application/json")
                    self.send_header("Content-Length", str(len(content)))
                    self.end_headers()
                    self.wfile.write(content)

            def log_message(self, *args: Any) -> None:
                return

        return Handler
