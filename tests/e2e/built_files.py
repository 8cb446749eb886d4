"""Files that a build would make, made by hand: a wheel, and a Java archive with one class. For the tests of what a job brings along."""

from __future__ import annotations

import io
import struct
import zipfile
from pathlib import Path


def wheel(folder: Path, name: str, version: str, code: str, needs: str = "") -> Path:
    """`name-version-py3-none-any.whl` with one module of that name."""
    info = f"{name}-{version}.dist-info"
    metadata = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n" + (f"Requires-Dist: {needs}\n" if needs else "")
    tag = "Wheel-Version: 1.0\nGenerator: hand\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
    inside = {f"{name}.py": code, f"{info}/METADATA": metadata, f"{info}/WHEEL": tag}
    record = "".join(f"{path},,\n" for path in [*inside, f"{info}/RECORD"])
    made = folder / f"{name}-{version}-py3-none-any.whl"
    folder.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(made, "w") as archive:
        for path, text in {**inside, f"{info}/RECORD": record}.items():
            archive.writestr(path, text)
    return made


def jar(name: str, says: str) -> bytes:
    """A Java archive with `public class name { public static String say() { return says; } }` (class file format 52, JVMS §4)."""

    def text(value: str) -> bytes:
        return b"\x01" + struct.pack(">H", len(value.encode())) + value.encode()

    def index(tag: int, at: int) -> bytes:
        return struct.pack(">BH", tag, at)

    constants = [text(name), index(7, 1), text("java/lang/Object"), index(7, 3), text("say"), text("()Ljava/lang/String;")]
    constants += [text("Code"), text(says), index(8, 8)]
    body = struct.pack(">HHI", 1, 0, 3) + b"\x12\x09\xb0" + struct.pack(">HH", 0, 0)  # ldc #9; areturn
    method = struct.pack(">HHHHHI", 0x0009, 5, 6, 1, 7, len(body)) + body
    head = struct.pack(">IHHH", 0xCAFEBABE, 0, 52, len(constants) + 1) + b"".join(constants)
    made = head + struct.pack(">HHHHHH", 0x0021, 2, 4, 0, 0, 1) + method + struct.pack(">H", 0)
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr(f"{name}.class", made)
    return archive.getvalue()
