"""Answers too long for the store: their bodies in S3.

A body is written before the pointer to it. One that is replaced stays, because some edge locations
follow the old pointer for a while; the bucket's lifecycle rule takes it away later. One that has
become wrong is deleted at once, and the edge falls back to the origin when a body is missing.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from origin.precompute.artifact import Artifact, bodies

BUCKET_VARIABLE = "ANSWER_BODIES_BUCKET"
_FORMS = ("json", "sse")


@dataclass(frozen=True, slots=True)
class Bodies:
    """The bucket.

    Attributes:
        client: boto3's `s3`.
        bucket: Its name.
    """

    client: Any
    bucket: str

    def put(self, artifact: Artifact, path: str) -> None:
        """Write both forms of an answer; the same again for the same artifact is no mistake."""
        generated_s = artifact.generated_at_ms // 1000
        metadata = {"generated": str(generated_s), "expires": str(artifact.expires_at_s)}
        if artifact.source.version:
            metadata["version"] = artifact.source.version
        for form, (content_type, body) in bodies(artifact).items():
            self.client.put_object(
                Bucket=self.bucket,
                Key=f"{path[1:]}/{form}/{artifact.action_id}",
                Body=body,
                ContentType=content_type,
                # A cache may keep it, where a cache policy lets it: the path never changes its
                # meaning, and the session belongs into the cache key.
                CacheControl=f"max-age={artifact.expires_at_s - generated_s}",
                Metadata=metadata,
            )

    def delete(self, paths: Iterable[tuple[str, str]]) -> None:
        """Delete bodies, given as path and ActionID; those that are gone already are no mistake."""
        keys = [{"Key": f"{path[1:]}/{form}/{action}"} for path, action in paths for form in _FORMS]
        for first in range(0, len(keys), 1000):
            objects = {"Objects": keys[first : first + 1000], "Quiet": True}
            self.client.delete_objects(Bucket=self.bucket, Delete=objects)
