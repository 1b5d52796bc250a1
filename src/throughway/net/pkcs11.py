"""PKCS#11 (version 2.40), as far as a logon needs it: which cards are there, is this their PIN?

The calls of a module, by ctypes: modules of vendors block, and may crash, so only
:mod:`throughway.net.smartcard_process` calls them, in a process of its own. Signing is not done
here: charon does that, with its plugin pkcs11.
"""

import ctypes
from collections.abc import Iterator, Sequence
from ctypes import POINTER, byref, c_char, c_ubyte, c_ulong, c_void_p
from typing import Any, NamedTuple, Self

ULONG = c_ulong
UNAVAILABLE = c_ulong(-1).value

TOKEN_PRESENT = 0x01
LOGIN_REQUIRED = 0x04
PROTECTED_PATH = 0x100
"""The PIN is entered at the reader's own keys."""
PIN_COUNT_LOW, PIN_FINAL_TRY, PIN_LOCKED = 0x10000, 0x20000, 0x40000
INITIALIZED = 0x400

OS_LOCKING = 0x02
SERIAL_SESSION = 0x04
USER = 1
CERTIFICATE, PRIVATE_KEY = 1, 3
CKA_CLASS, CKA_LABEL, CKA_VALUE, CKA_CERTIFICATE_TYPE, CKA_ID = 0x0, 0x3, 0x11, 0x80, 0x102
X_509 = 0
MAX_SLOTS, MAX_OBJECTS, MAX_VALUE = 64, 64, 16384

OK = 0
PIN_WRONG = (0xA0, 0xA1, 0xA2)
"""CKR_PIN_INCORRECT, _INVALID, _LEN_RANGE."""
LOCKED = 0xA4
ALREADY_LOGGED_IN = 0x100
_NAMES = {
    0x05: "CKR_GENERAL_ERROR",
    0x06: "CKR_FUNCTION_FAILED",
    0x30: "CKR_DEVICE_ERROR",
    0x32: "CKR_DEVICE_REMOVED",
    0x03: "CKR_SLOT_ID_INVALID",
    0xA0: "CKR_PIN_INCORRECT",
    0xA3: "CKR_PIN_EXPIRED",
    0xA4: "CKR_PIN_LOCKED",
    0xE0: "CKR_TOKEN_NOT_PRESENT",
    0xE1: "CKR_TOKEN_NOT_RECOGNIZED",
    0xB3: "CKR_SESSION_HANDLE_INVALID",
}

# Places in CK_FUNCTION_LIST, behind its version.
_FUNCTIONS = {
    "C_Initialize": 0,
    "C_Finalize": 1,
    "C_GetSlotList": 4,
    "C_GetSlotInfo": 5,
    "C_GetTokenInfo": 6,
    "C_OpenSession": 12,
    "C_CloseSession": 13,
    "C_Login": 18,
    "C_Logout": 19,
    "C_GetAttributeValue": 24,
    "C_FindObjectsInit": 26,
    "C_FindObjects": 27,
    "C_FindObjectsFinal": 28,
}


class _Version(ctypes.Structure):
    _fields_ = (("major", c_ubyte), ("minor", c_ubyte))


class _FunctionList(ctypes.Structure):
    _fields_ = (("version", _Version), ("functions", c_void_p * 68))


class _InitializeArguments(ctypes.Structure):
    _fields_ = (
        *((name, c_void_p) for name in ("create", "destroy", "lock", "unlock")),
        ("flags", ULONG),
        ("reserved", c_void_p),
    )


class _SlotInfo(ctypes.Structure):
    _fields_ = (
        ("description", c_char * 64),
        ("manufacturer", c_char * 32),
        ("flags", ULONG),
        ("hardware", _Version),
        ("firmware", _Version),
    )


class _TokenInfo(ctypes.Structure):
    _fields_ = (
        ("label", c_char * 32),
        ("manufacturer", c_char * 32),
        ("model", c_char * 16),
        ("serial", c_char * 16),
        ("flags", ULONG),
        ("numbers", ULONG * 10),
        ("hardware", _Version),
        ("firmware", _Version),
        ("time", c_char * 16),
    )


class _Attribute(ctypes.Structure):
    _fields_ = (("type", ULONG), ("value", c_void_p), ("length", ULONG))


class PKCS11Error(Exception):
    """A call of the module failed."""

    def __init__(self, function: str, code: int) -> None:
        super().__init__(f"{function}: {_NAMES.get(code, f'error {code:#x}')}")
        self.code = code


class Token(NamedTuple):
    """A card in a reader; no dataclass, whose import would cost each look at it its time."""

    slot: int
    label: str
    manufacturer: str
    model: str
    serial: str
    flags: int


class StoredCertificate(NamedTuple):
    """A certificate on a card."""

    id: bytes
    label: str
    der: bytes


class Module:
    """One module, loaded and initialised; a context manager."""

    def __init__(self, path: str) -> None:
        """Raises OSError when there is no such library, PKCS11Error when it does not start."""
        try:
            library = ctypes.CDLL(path)
        except OSError as error:
            raise OSError(str(error).removeprefix(f"{path}: ")) from None
        try:
            entry = library.C_GetFunctionList
        except AttributeError:
            raise OSError("it is no PKCS#11 module") from None
        functions = POINTER(_FunctionList)()
        _check("C_GetFunctionList", entry(byref(functions)))
        self._functions = functions.contents.functions
        arguments = _InitializeArguments(flags=OS_LOCKING)
        self._call("C_Initialize", byref(arguments))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._function("C_Finalize")(None)

    def readers(self) -> int:
        """Return how many readers there are, with a card or without."""
        return len(self._slots(present=False))

    def tokens(self) -> Iterator[Token]:
        """Yield the cards that have been made ready for use."""
        for slot in self._slots(present=True):
            token = self.token(slot)
            if token is not None and token.flags & INITIALIZED:
                yield token

    def token(self, slot: int) -> Token | None:
        """Return the card in a slot, None when there is none."""
        info = _TokenInfo()
        if self._function("C_GetTokenInfo")(ULONG(slot), byref(info)) != OK:
            return None
        return Token(
            slot=slot,
            label=_word(info.label),
            manufacturer=_word(info.manufacturer),
            model=_word(info.model),
            serial=_word(info.serial),
            flags=info.flags,
        )

    def session(self, slot: int) -> "SessionOfToken":
        """Open a session with the card in a slot."""
        handle = ULONG()
        flags = ULONG(SERIAL_SESSION)
        self._call("C_OpenSession", ULONG(slot), flags, None, None, byref(handle))
        return SessionOfToken(self, handle)

    def _slots(self, *, present: bool) -> Sequence[int]:
        count = ULONG()
        # Asked without room first: that makes modules look for readers that are new.
        self._call("C_GetSlotList", c_ubyte(present), None, byref(count))
        slots = (ULONG * MAX_SLOTS)()
        count = ULONG(MAX_SLOTS)
        self._call("C_GetSlotList", c_ubyte(present), slots, byref(count))
        return slots[: count.value]

    def _function(self, name: str) -> Any:  # noqa: ANN401 - a function pointer of ctypes
        return ctypes.CFUNCTYPE(ULONG)(self._functions[_FUNCTIONS[name]])

    def _call(self, name: str, *arguments: Any) -> None:  # noqa: ANN401 - of ctypes
        _check(name, self._function(name)(*arguments))


class SessionOfToken:
    """A session with a card; a context manager."""

    def __init__(self, module: Module, handle: ULONG) -> None:
        self._module = module
        self._handle = handle

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._module._function("C_CloseSession")(self._handle)

    def login(self, pin: bytes | None) -> None:
        """Present the PIN, once; None lets the reader ask for it. PKCS11Error when it is wrong."""
        length = ULONG(len(pin or b""))
        code = self._module._function("C_Login")(self._handle, ULONG(USER), pin, length)
        if code != ALREADY_LOGGED_IN:
            _check("C_Login", code)

    def certificates(self) -> Iterator[StoredCertificate]:
        """Yield the X.509 certificates that the card shows."""
        for handle in self._find({CKA_CLASS: CERTIFICATE, CKA_CERTIFICATE_TYPE: X_509}):
            der = self._value(handle, CKA_VALUE)
            label = self._value(handle, CKA_LABEL).decode(errors="replace")
            if der:
                yield StoredCertificate(self._value(handle, CKA_ID), label, der)

    def has_key(self, identifier: bytes) -> bool:
        """Say whether the card has the private key with an identifier."""
        return any(
            self._value(handle, CKA_ID) == identifier
            for handle in self._find({CKA_CLASS: PRIVATE_KEY})
        )

    def _find(self, wanted: dict[int, int]) -> Sequence[int]:
        values = [ULONG(value) for value in wanted.values()]
        template = (_Attribute * len(wanted))(
            *(
                _Attribute(kind, ctypes.cast(byref(value), c_void_p), ctypes.sizeof(value))
                for kind, value in zip(wanted, values, strict=True)
            )
        )
        call = self._module._call
        call("C_FindObjectsInit", self._handle, template, ULONG(len(wanted)))
        handles, count = (ULONG * MAX_OBJECTS)(), ULONG()
        try:
            call("C_FindObjects", self._handle, handles, ULONG(MAX_OBJECTS), byref(count))
        finally:
            call("C_FindObjectsFinal", self._handle)
        return handles[: count.value]

    def _value(self, handle: int, kind: int) -> bytes:
        """Return an attribute; b"" when the object has none."""
        attribute = _Attribute(kind, None, 0)
        get = self._module._function("C_GetAttributeValue")
        if get(self._handle, ULONG(handle), byref(attribute), ULONG(1)) != OK:
            return b""
        if not 0 < attribute.length <= MAX_VALUE:
            return b""
        buffer = (c_ubyte * attribute.length)()
        attribute.value = ctypes.cast(buffer, c_void_p)
        if get(self._handle, ULONG(handle), byref(attribute), ULONG(1)) != OK:
            return b""
        return bytes(buffer[: attribute.length])


def _check(function: str, code: int) -> None:
    if code != OK:
        raise PKCS11Error(function, code)


def _word(padded: bytes) -> str:
    return padded.decode(errors="replace").strip("\0 ")
