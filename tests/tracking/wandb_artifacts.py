"""The artifacts of the small W&B server: what the client keeps a table as."""

import base64
import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

MANIFEST = "wandb_manifest.json"


@dataclass
class StoredArtifact:
    """One version of an artifact; it counts once it is committed."""

    id: str
    given: dict[str, Any]
    version: int
    state: str = "PENDING"
    files: dict[str, bytes] = field(default_factory=dict)

    @property
    def name(self) -> str:
        return self.given["artifactCollectionName"]


class Artifacts:
    """All of them, by id.

    Args:
        address: where a file is to be put, by the artifact's id and the file's name.
    """

    def __init__(self, address: Callable[[str], str]) -> None:
        self.stored: dict[str, StoredArtifact] = {}
        self._address = address

    def answers(self) -> dict[str, Callable[[dict[str, Any]], dict[str, Any]]]:
        """Those to the client's questions, by GraphQL operation."""
        return {
            "ServerFeaturesQuery": lambda given: {"serverInfo": {"features": []}},
            "ArtifactType": lambda given: {"project": {"artifact": None}},
            "CreateArtifact": self._create,
            "CreateArtifactManifest": self._manifest,
            "CreateArtifactFiles": self._files,
            "CommitArtifact": self._commit,
            "RunOutputArtifacts": self._list,
        }

    def store(self, path: str, content: bytes) -> None:
        """Takes a file."""
        artifact, _, name = path.partition("/")
        self.stored[artifact].files[name] = content

    def committed(self, run: str) -> list[StoredArtifact]:
        """Those of a run, the oldest first."""
        return [one for one in self.stored.values() if one.given["runName"] == run and one.state == "COMMITTED"]

    def _create(self, given: dict[str, Any]) -> dict[str, Any]:
        """A new version, unless the last one has the same content."""
        wanted = given["input"]
        versions = [one for one in self.committed(wanted["runName"]) if one.name == wanted["artifactCollectionName"]]
        one = next((one for one in versions if one.given["digest"] == wanted["digest"]), None)
        one = one or StoredArtifact(f"artifact-{len(self.stored)}", wanted, len(versions))
        self.stored[one.id] = one
        latest = {"id": versions[-1].id} if versions else None
        return {
            "createArtifact": {
                "artifact": {"id": one.id, "state": one.state, "artifactSequence": {"latestArtifact": latest}}
            }
        }

    def _manifest(self, given: dict[str, Any]) -> dict[str, Any]:
        one = given["artifactID"]
        file = {"id": f"{one}-file", "uploadUrl": self._address(f"{one}/{MANIFEST}"), "uploadHeaders": []}
        return {"createArtifactManifest": {"artifactManifest": {"id": f"{one}-manifest", "file": file}}}

    def _files(self, given: dict[str, Any]) -> dict[str, Any]:
        nodes = []
        for file in given["input"]["artifactFiles"]:
            address = self._address(f"{file['artifactID']}/{file['name']}")
            node = {"storagePath": None, "uploadUrl": address, "uploadHeaders": [], "uploadMultipartUrls": None}
            nodes.append({"node": node | {"artifact": {"id": file["artifactID"]}}})
        return {"createArtifactFiles": {"files": {"edges": nodes}}}

    def _commit(self, given: dict[str, Any]) -> dict[str, Any]:
        """Only what its manifest lists, and has arrived whole, makes an artifact."""
        one = self.stored[given["artifactID"]]
        listed = json.loads(one.files[MANIFEST])["contents"]
        for name, entry in listed.items():
            assert base64.b64encode(hashlib.md5(one.files[name]).digest()).decode() == entry["digest"]
        one.state = "COMMITTED"
        return {"commitArtifact": {"artifact": {"id": one.id}}}

    def _list(self, given: dict[str, Any]) -> dict[str, Any]:
        nodes = [{"node": self._node(one)} for one in self.committed(given["run"])]
        page = {"endCursor": None, "hasNextPage": False}
        return {"project": {"run": {"artifacts": {"totalCount": len(nodes), "pageInfo": page, "edges": nodes}}}}

    def _node(self, one: StoredArtifact) -> dict[str, Any]:
        project = {"id": "1", "internalId": "1", "name": one.given["projectName"]}
        project["entity"] = {"name": one.given["entityName"]}
        return {
            **dict.fromkeys(
                ("description", "metadata", "ttlDurationSeconds", "historyStep", "commitHash", "updatedAt")
            ),
            "id": one.id,
            "artifactSequence": {"__typename": "ArtifactSequence", "name": one.name, "project": project},
            "versionIndex": one.version,
            "artifactType": {"name": one.given["artifactTypeName"]},
            "ttlDurationSeconds": -1,
            "ttlIsInherited": True,
            "tags": [],
            "state": one.state,
            "size": sum(len(content) for content in one.files.values()),
            "digest": one.given["digest"],
            "digestAlgorithm": "MANIFEST_MD5",
            "fileCount": len(one.files),
            "createdAt": "2026-01-01T00:00:00",
            "aliases": [],
        }
