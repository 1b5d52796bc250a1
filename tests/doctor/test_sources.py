"""Getting at evidence: decoding, cutting, folders, archives, limits."""

import bz2
import errno
import gzip
import io
import lzma
import os
import random
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from throughway.doctor.sources import archives, bundle, tar
from throughway.doctor.sources.bundle import read, read_text
from throughway.doctor.sources.cutting import cut
from throughway.doctor.sources.decoding import clean, decode, single_spaced
from throughway.model.evidence import Evidence

CHINESE = "状态          : offline\n错误          : 无法通过 UDP 访问主 teredo 服务器\n"
GERMAN = "Verbindungsspezifisches Präfix: für größere Überprüfung\n"
FRENCH = "État : Activé\nParamètres de proxy : aucun accès réseau\n"
SPANISH = "Dirección IPv6 : ninguna\nConfiguración de túnel\n"


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        (CHINESE, "utf-8"),
        (CHINESE, "utf-8-sig"),
        (CHINESE, "utf-16"),
        (CHINESE, "cp936"),
        ("狀態 : 錯誤\n伺服器 介面卡\n", "cp950"),
        ("状態 : エラー\nサーバーのアドレス\n", "cp932"),
        ("상태 : 오류\n서버 주소\n", "cp949"),
        (GERMAN, "cp850"),
        (GERMAN, "cp437"),
        (GERMAN, "cp1252"),
        (FRENCH, "cp850"),
        (FRENCH, "cp1252"),
        (SPANISH, "cp850"),
        (SPANISH, "cp1252"),
        ("Состояние: отключено\n", "cp866"),
        ("Состояние: отключено\n", "cp1251"),
        ("Plain : text\n", "ascii"),
    ],
)
def test_a_console_text_is_decoded(text: str, encoding: str) -> None:
    assert decode(text.encode(encoding)) == text


def test_utf16_is_known_without_a_mark() -> None:
    assert decode("Role : client\n".encode("utf-16-le")) == "Role : client\n"
    assert decode("Role : client\n".encode("utf-16-be")) == "Role : client\n"


def test_a_truncated_character_at_the_end_does_not_change_the_encoding() -> None:
    assert decode(CHINESE.encode()[:-2]) == CHINESE[:-2] + "\ufffd"


@pytest.mark.parametrize("content", [b"\x0a\x0d\x0d\x0a" + bytes(60), b"ElfFile\0" + bytes(99)])
def test_what_is_no_text_is_told(content: bytes) -> None:
    assert decode(content) is None


def test_line_ends_and_additions_are_cleaned_and_lines_keep_their_numbers() -> None:
    assert clean("a\r\nb\r\r\nc\rd") == "a\nb\nc\nd"
    assert clean("\x1b[31mError\x1b[0m:\xa00x1\ufeff") == "Error: 0x1"
    assert clean("> Role : client\n>\n> URL : x\n") == "Role : client\n\nURL : x\n"
    assert clean("C:\\>ping a\nReply\nReply\n").startswith("C:\\>ping")


PASTE = r"""Hello, here it is:
C:\Windows\system32>netsh interface teredo show state
Teredo Parameters
State : qualified

PS C:\Users\anna> Get-DAConnectionStatus

Status    : Error
Substatus : NameResolutionFailure

netsh interface ipv6>show interfaces
Idx
c:>
===== ipconfig /all =====
Windows IP Configuration
~$ ping app.example.com
ping: app.example.com: Name or service not known
[edge1]: PS C:\> Get-RemoteAccess
DAStatus : Installed
"""


def test_a_paste_is_cut_at_its_prompts() -> None:
    parts = cut(Evidence("-", PASTE))
    assert [part.command for part in parts] == [
        "",
        "netsh interface teredo show state",
        "Get-DAConnectionStatus",
        "netsh interface ipv6 show interfaces",
        "ipconfig /all",
        "ping app.example.com",
        "Get-RemoteAccess",
    ]
    lines = PASTE.split("\n")
    for part in parts:
        for number, text in part.lines():
            assert not text or lines[number - 1] == text


@pytest.mark.parametrize(
    "text",
    [
        "Type : enterpriseclient\nState : offline\n",
        "Resolution\n1. Type Get-Service iphlpsvc at a prompt.\n",
        "Get-DAConnectionStatus : The service is stopped.\n",
        "Pinging a [192.0.2.1] with 32 bytes of data:\nReply from 192.0.2.1: time=1ms\n",
        "net.ipv6.conf : 1\n",
    ],
)
def test_what_holds_no_command_stays_whole(text: str) -> None:
    assert cut(Evidence("a.txt", text)) == [Evidence("a.txt", text)]


def test_folders_are_read_in_order_without_hidden_files_and_ways_out(tmp_path: Path) -> None:
    (tmp_path / "in" / "sub").mkdir(parents=True)
    (tmp_path / "in" / "b.txt").write_text("b")
    (tmp_path / "in" / "sub" / "a.txt").write_text("a")
    (tmp_path / "in" / ".hidden").write_text("h")
    (tmp_path / "secret").write_text("s")
    (tmp_path / "in" / "link").symlink_to(tmp_path / "secret")
    os.mkfifo(tmp_path / "in" / "fifo")
    found = read([tmp_path / "in"])
    assert [(e.file, e.text) for e in found.evidence] == [("b.txt", "b"), ("sub/a.txt", "a")]
    assert found.unreadable == [
        ("fifo", "is no regular file"),
        ("link", "is a link to a place outside of the folder"),
    ]


def test_links_that_lead_nowhere_are_said(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("a")
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "nowhere").symlink_to("lost.txt")
    (tmp_path / "here").symlink_to(".")
    (tmp_path / "same").symlink_to("a.txt")
    found = read([tmp_path])
    assert [e.file for e in found.evidence] == ["a.txt", "same"]
    assert dict(found.unreadable) == {
        "loop": os.strerror(errno.ELOOP),
        "nowhere": os.strerror(errno.ENOENT),
    }


def test_what_is_piped_in_is_read() -> None:
    found = read([Path("-")], io.BytesIO(PASTE.encode()))
    assert len(found.evidence) == 7
    assert {e.file for e in found.evidence} == {"-"}


def zipped(files: dict[str, bytes]) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return stream.getvalue()


def tarred(files: dict[str, bytes], mode: str) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode=mode) as archive:  # type: ignore[call-overload]
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    return stream.getvalue()


def from_bytes(tmp_path: Path, name: str, content: bytes) -> bundle.Bundle:
    (tmp_path / name).write_bytes(content)
    return read([tmp_path / name])


FILES = {"c1/a.txt": b"one", "../../etc/b.txt": b"two", "c1\\c.txt": b"three"}


@pytest.mark.parametrize("form", ["zip", "w:", "w:gz", "w:bz2", "w:xz"])
def test_archives_are_read_in_place(tmp_path: Path, form: str) -> None:
    content = zipped(FILES) if form == "zip" else tarred(FILES, form)
    found = from_bytes(tmp_path, "x", content)
    assert {e.text for e in found.evidence} == {"one", "two", "three"}
    assert {p.name for p in tmp_path.iterdir()} == {"x"}


def with_password(data: bytes, *names: str) -> bytes:
    """Mark members as encrypted, in their own heads and in the directory (APPNOTE 4.3)."""
    changed = bytearray(data)
    for name in names:
        for sign, flag, head in ((b"PK\x03\x04", 6, 30), (b"PK\x01\x02", 8, 46)):
            at = next(
                at
                for at in range(len(data))
                if data.startswith(sign, at) and data.startswith(name.encode(), at + head)
            )
            changed[at + flag] |= 1
    return bytes(changed)


@pytest.mark.parametrize("encrypted", [("b.txt",), ("a.txt", "b.txt")])
def test_a_password_is_said_plainly_and_the_rest_is_read(
    tmp_path: Path, encrypted: tuple[str, ...]
) -> None:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("a.txt", "State : a\n")
        archive.writestr("b.txt", "State : b\n")
    path = tmp_path / "bundle.zip"
    path.write_bytes(with_password(stream.getvalue(), *encrypted))
    found = read([path])
    assert len(found.evidence) == 2 - len(encrypted)
    ((name, why),) = found.unreadable
    assert name == "bundle.zip"
    assert why.startswith(("1 file in it is", "2 files in it are"))
    assert "protected by a password: unpack it with the password" in why


@pytest.mark.parametrize(
    ("sign", "name"), [(b"7z\xbc\xaf\x27\x1c", "7z"), (b"Rar!\x1a\x07\x01\0", "RAR")]
)
def test_other_archives_are_named(tmp_path: Path, sign: bytes, name: str) -> None:
    (tmp_path / "bundle").write_bytes(sign + bytes(100))
    found = read([tmp_path / "bundle"])
    assert found.evidence == []
    assert found.unreadable == [
        ("bundle", f"{name} archives are not read: unpack it, and give the folder")
    ]


def test_archives_in_archives_are_read_to_a_depth(tmp_path: Path) -> None:
    content = zipped({"a.txt": b"deep"})
    for _ in range(archives.MAXIMUM_DEPTH - 1):
        content = zipped({"inner.zip": content})
    assert [e.text for e in from_bytes(tmp_path, "ok", content).evidence] == ["deep"]
    too_deep = from_bytes(tmp_path, "deep", zipped({"inner.zip": content}))
    assert too_deep.evidence == []
    assert "too deeply" in too_deep.unreadable[0][1]


def test_a_bomb_is_read_to_the_limit_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bundle, "MAXIMUM_TEXT", 100_000)
    monkeypatch.setattr(bundle, "MAXIMUM_TOTAL", 250_000)
    monkeypatch.setattr(bundle, "RESERVED", 50_000)
    bomb = zipped({f"{i}.txt": b"x" * 1_000_000 for i in range(9)})
    found = from_bytes(tmp_path, "bomb.zip", bomb)
    assert sum(len(e.text) for e in found.evidence) <= 400_000
    assert any("too large" in why for _, why in found.unreadable)
    assert any("only the first" in why for _, why in found.unreadable)


def test_large_files_leave_room_for_small_ones(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bundle, "MAXIMUM_TOTAL", 2 << 20)
    monkeypatch.setattr(bundle, "RESERVED", 1 << 20)
    for number in range(5):
        (tmp_path / f"a{number}.log").write_text("x" * 600_000)
    (tmp_path / "z.txt").write_text("Role : client")
    found = read([tmp_path])
    assert [e.file for e in found.evidence] == ["a0.log", "a1.log", "z.txt"]
    assert [name for name, _ in found.unreadable] == ["a1.log", "a2.log", "a3.log", "a4.log"]


def test_of_many_files_left_out_a_few_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bundle, "MAXIMUM_FILES", 5)
    found = from_bytes(tmp_path, "x.zip", zipped({f"{n}.txt": b"a" for n in range(99)}))
    assert len(found.evidence) == 4
    assert len(found.unreadable) == bundle.MAXIMUM_NAMED + 1
    assert found.unreadable[-1][1].startswith("more files")


@pytest.mark.parametrize("pack", [gzip.compress, bz2.compress, lzma.compress])
def test_a_packed_text_is_read_as_the_text(tmp_path: Path, pack: Callable[[bytes], bytes]) -> None:
    found = from_bytes(tmp_path, "state.txt.gz", pack(b"Role : client" * 100))
    assert [(e.file, e.text[:6], len(e.text)) for e in found.evidence] == [
        ("state.txt", "Role :", 1300)
    ]
    assert found.unreadable == []


@pytest.mark.parametrize("pack", [gzip.compress, bz2.compress, lzma.compress])
def test_a_packed_bomb_is_unpacked_to_the_limit_only(
    tmp_path: Path, pack: Callable[[bytes], bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tar, "UNPACKED", 1 << 20)
    monkeypatch.setattr(tar, "RATIO", 2)
    header = tarfile.TarInfo("big.bin")
    header.size = 40 << 20
    beginning = pack(tarred({"a.txt": b"one"}, "w:")[:1024] + header.tobuf())
    found = from_bytes(tmp_path, "x", beginning + pack(bytes(1 << 20)) * 40)
    assert [e.file for e in found.evidence if e.text] == ["x/a.txt"]
    assert found.unreadable == [("x", "unpacked it is too large to be read whole")]


@pytest.mark.parametrize("form", [tarfile.PAX_FORMAT, tarfile.GNU_FORMAT, tarfile.USTAR_FORMAT])
def test_names_of_every_form_of_tar(tmp_path: Path, form: int) -> None:
    names = [f"{'folder' * 10}/{'long' * 20}.txt", "b.txt"]
    if form != tarfile.USTAR_FORMAT:
        names += [f"{'long' * 70}.txt", "größe/状态.txt"]
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:gz", format=form) as archive:
        for kind in (tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.DIRTYPE, tarfile.FIFOTYPE):
            other = tarfile.TarInfo("other/" * 20)
            other.type, other.linkname = kind, "/etc/passwd"
            archive.addfile(other)
        for number, name in enumerate(names):
            entry = tarfile.TarInfo(name)
            entry.size = 1000 * number + 3
            entry.pax_headers = {"comment": "17 path=wrong\n"}
            archive.addfile(entry, io.BytesIO(b"a" * entry.size))
    found = from_bytes(tmp_path, "x", stream.getvalue())
    assert [(e.file, len(e.text)) for e in found.evidence] == [
        (f"x/{name}", 1000 * number + 3) for number, name in enumerate(names)
    ]


@pytest.mark.parametrize("kind", [b"x", b"L"])
def test_headers_that_claim_much_end_a_tar(tmp_path: Path, kind: bytes) -> None:
    entry = tarfile.TarInfo("h")
    entry.size, entry.type = 1 << 30, kind
    content = tarred({"a.txt": b"one"}, "w:")[:1024] + entry.tobuf() + b"9" * 5000
    found = from_bytes(tmp_path, "x.tar", content)
    assert [e.text for e in found.evidence] == ["one"]
    assert found.unreadable == [("x.tar", "a header is too large")]


def test_binaries_of_a_packed_archive_are_read_in_one_go(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tar, "UNPACKED", 0)
    monkeypatch.setattr(tar, "RATIO", 3)
    files = {f"{n}.cer": b"\x30\x82\0\x01" + random.Random(n).randbytes(9000) for n in range(50)}
    found = from_bytes(tmp_path, "x", tarred(files, "w:gz"))
    assert found.unreadable == []
    for evidence in found.evidence:
        assert evidence.open is not None
        assert evidence.open().read() == files[evidence.file[2:]]


def test_a_folder_that_may_not_be_read_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "open.txt").write_text("Role : client\n")
    (tmp_path / "logs" / "closed").mkdir(parents=True)
    scandir = os.scandir

    def refusing(path: str) -> object:
        if Path(path).name == "closed":
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), path)
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refusing)
    found = read([tmp_path])
    assert [e.file for e in found.evidence] == ["open.txt"]
    assert found.unreadable == [("logs/closed/", "Permission denied")]


def test_a_file_that_may_not_be_read_is_said_without_the_path_on_this_machine() -> None:
    def refusing() -> io.BytesIO:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), "/home/somebody/a.txt")

    found = bundle.Bundle()
    found.add("a.txt", 1, refusing)
    assert found.unreadable == [("a.txt", "Permission denied")]


@pytest.mark.parametrize("cut_at", [30, 60, 100])
def test_a_broken_archive_is_said(tmp_path: Path, cut_at: int) -> None:
    found = from_bytes(tmp_path, "broken.zip", zipped({"a.txt": b"one" * 50})[:cut_at])
    assert found.evidence == []
    assert [name for name, _ in found.unreadable] == ["broken.zip"]


def test_a_large_binary_is_opened_later(tmp_path: Path) -> None:
    content = b"\x0a\x0d\x0d\x0a" + bytes(range(256)) * 1000
    found = from_bytes(tmp_path, "x.zip", zipped({"a.pcapng": content}))
    (evidence,) = found.evidence
    assert evidence.content.startswith(b"\x0a\x0d\x0d\x0a")
    assert evidence.open is not None
    with evidence.open() as stream:
        assert stream.read() == content


def test_names_are_shown_without_control_characters() -> None:
    assert bundle.shown("a\\b\n\x1b[31mc") == "a/b??[31mc"


def test_a_text_is_read() -> None:
    assert [e.text for e in read_text("Role : client").evidence] == ["Role : client"]


@pytest.mark.parametrize(
    ("text", "cleaned"),
    [
        ("> > a\n> >   b\n", "a\n  b\n"),
        (">a\n>  b\n>\n", "a\n  b\n\n"),
        ("> a\n>\n>   b", "a\n\n  b"),
        ("    a\n\n      b\n", "a\n\n  b\n"),
        ("```powershell\na\n```\n~~~\nb", "\na\n\n\nb"),
        ("a > b\nc", "a > b\nc"),
        ("a\n  b", "a\n  b"),
    ],
)
def test_what_mails_and_forums_add_is_taken_away(text: str, cleaned: str) -> None:
    assert clean(text) == cleaned


def test_a_blank_line_after_each_line_is_taken_away_and_lines_keep_their_numbers() -> None:
    (part,) = cut(Evidence("x", *doubled("a\n\nb\n\n\n\nc\n\nd\n")))
    assert [(n, line) for n, line in part.lines() if line] == [
        (1, "a"),
        (3, "b"),
        (7, "c"),
        (9, "d"),
    ]
    (part,) = cut(Evidence("x", *doubled("\na\n\nb\n\n\n\nc\n")))
    assert [(n, line) for n, line in part.lines() if line] == [(2, "a"), (4, "b"), (8, "c")]
    first, second = cut(Evidence("x", *doubled("C:\\>ver\n\nA\n\nC:\\>hostname\n\npc1\n")))
    assert [n for n, line in (*first.lines(), *second.lines()) if line] == [3, 7]


def doubled(text: str) -> tuple[str, bytes, None, int, str, int]:
    text, first, step = single_spaced(text)
    assert step == 2
    return text, b"", None, first, "", step


def test_a_text_with_a_few_blank_lines_is_left_alone() -> None:
    assert single_spaced("a\n\nb\n\nc") == ("a\n\nb\n\nc", 1, 1)
    assert single_spaced("a\n\nb\nc\n\nd\n\ne\n\n")[2] == 1


def test_a_command_that_printed_nothing_is_a_part_unless_the_copy_ends_there() -> None:
    text = "PS C:\\> Get-DnsClientNrptPolicy -Effective\nPS C:\\> ver\n\nPS C:\\> hostname\n"
    parts = [
        (part.command, part.first_line, part.text.strip()) for part in cut(Evidence("x", text))
    ]
    assert parts == [("Get-DnsClientNrptPolicy -Effective", 2, ""), ("ver", 3, "")]
