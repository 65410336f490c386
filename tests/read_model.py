#!/usr/bin/env python3
"""Reads a safetensors file by the rules of its format, byte by byte, and shares no code with bptt: what another program
would see. Prints "name dtype shape sum" for each tensor (sum: of F32 and F64 data, in double; "-" for other types).

    python3 read_model.py FILE [--data-crc]      exit status 1 and a sentence on stderr where a rule is broken
"""
import json
import math
import re
import struct
import sys

BITS = {"F64": 64, "I64": 64, "U64": 64, "C64": 64, "F32": 32, "I32": 32, "U32": 32, "F16": 16, "BF16": 16, "I16": 16,
        "U16": 16, "I8": 8, "U8": 8, "BOOL": 8, "F8_E5M2": 8, "F8_E4M3": 8, "F8_E8M0": 8, "F8_E4M3FNUZ": 8,
        "F8_E5M2FNUZ": 8, "F6_E2M3": 6, "F6_E3M2": 6, "F4": 4}


class Broken(Exception):
    pass


def rule(holds, words):
    if not holds:
        raise Broken(words)


def crc32c(data):
    table = []
    for i in range(256):
        for _ in range(8):
            i = i >> 1 ^ 0x82F63B78 if i & 1 else i >> 1
        table.append(i)
    crc = 0xFFFFFFFF
    for byte in data:
        crc = crc >> 8 ^ table[(crc ^ byte) & 255]
    return "%08x" % (crc ^ 0xFFFFFFFF)


def once(pairs):
    names = [name for name, _ in pairs]
    rule(len(names) == len(set(names)), "a key twice in the header")
    return dict(pairs)


def no_number(text):
    raise Broken(text + " is no JSON")


def count(x):
    return type(x) is int and 0 <= x < 2 ** 64


def parse(file):
    """-> tensors by name, metadata, header bytes, data bytes"""
    rule(len(file) >= 8, "shorter than the header's length")
    (n,) = struct.unpack("<Q", file[:8])
    rule(n <= 100_000_000 and n <= len(file) - 8, f"a header of {n} bytes in a file of {len(file)}")
    header, data = file[8:8 + n], file[8 + n:]
    rule(header[:1] == b"{", "the header does not begin with {")
    rule(header.rstrip(b" ")[-1:] == b"}", "the header does not end with } and spaces")
    tensors = json.loads(header.decode("utf-8"), object_pairs_hook=once, parse_constant=no_number)
    metadata = tensors.pop("__metadata__", {})
    rule(type(metadata) is dict and all(type(v) is str for v in metadata.values()), "metadata that are not strings")
    return tensors, metadata, header, data


def check(tensors, data):
    at = 0
    for name, t in sorted(tensors.items(), key=lambda item: item[1]["data_offsets"]):
        rule(set(t) == {"dtype", "shape", "data_offsets"}, f"{name}: wrong keys")
        rule(t["dtype"] in BITS, f"{name}: dtype {t['dtype']}")
        rule(all(count(x) for x in t["shape"] + t["data_offsets"]), f"{name}: not a count")
        begin, end = t["data_offsets"]
        rule(begin == at, f"{name}: a hole or an overlap before it")
        bits = math.prod(t["shape"]) * BITS[t["dtype"]]
        rule(bits % 8 == 0 and end - begin == bits // 8, f"{name}: offsets do not fit its shape")
        at = end
    rule(at == len(data), f"{at} bytes of tensors in {len(data)} bytes of data")


def check_crcs(tensors, metadata, header, data, all_data):
    if "crc32c" in metadata:
        said = re.findall(rb'"crc32c":\s*"([0-9a-f]{8})"', header)
        rule(len(said) == 1, "the header's checksum is not 8 digits")
        at = header.index(said[0], header.index(b'"crc32c":'))
        zeroed = header[:at] + b"00000000" + header[at + 8:]
        rule(crc32c(zeroed) == metadata["crc32c"], "the header's checksum is wrong")
    for name, t in tensors.items() if all_data else []:
        said = metadata.get("crc32c." + name)
        rule(said in (None, crc32c(data[slice(*t["data_offsets"])])), f"{name}: its checksum is wrong")


def total(t, data):
    if t["dtype"] not in ("F32", "F64"):
        return "-"
    part = data[slice(*t["data_offsets"])]
    letter, size = ("f", 4) if t["dtype"] == "F32" else ("d", 8)
    values = struct.unpack("<%d%s" % (len(part) // size, letter), part)
    return repr(math.fsum(values) if all(map(math.isfinite, values)) else sum(values))


def main(arguments):
    names = [a for a in arguments if a != "--data-crc"]
    if len(names) != 1:
        sys.exit(__doc__)
    try:
        with open(names[0], "rb") as f:
            tensors, metadata, header, data = parse(f.read())
        check(tensors, data)
        check_crcs(tensors, metadata, header, data, "--data-crc" in arguments)
    except (Broken, ValueError, KeyError, TypeError, RecursionError) as broken:
        sys.exit(f"{names[0]}: {broken}")
    for name, t in tensors.items():
        print(name, t["dtype"], "[" + ",".join(map(str, t["shape"])) + "]", total(t, data))


if __name__ == "__main__":
    main(sys.argv[1:])
