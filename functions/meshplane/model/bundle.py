"""A folder of modules as one zip whose bytes depend on its files alone, so that its digest does. Used by publish and by the plane."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping

_EPOCH = (1980, 1, 1, 0, 0, 0)  # the earliest time a zip can hold


def bundle(files: Mapping[str, bytes]) -> bytes:
    """The zip of `files` (path inside the zip → content): sorted, stored with a fixed time and mode, uncompressed."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for path in sorted(files):
            entry = zipfile.ZipInfo(path, _EPOCH)
            entry.external_attr = 0o644 << 16
            entry.create_system = 3  # the same on every platform
            archive.writestr(entry, files[path])
    return buffer.getvalue()
