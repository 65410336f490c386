#!/usr/bin/env python3
"""What PyTorch makes of a model file: its validation loss, with no code shared with bptt.

    interop.py MODEL TEXT [--valid F]      prints {"loss": nats per byte, "n": predictions}

The safetensors file is taken apart by hand (8 bytes: length of the header, little-endian; JSON; data), its weights
go into nn.RNN and nn.Linear by load_state_dict(strict=True), and the part of TEXT after its first
floor((1 - F) N) bytes is read as one stream from zero state, in float64. F is the file's own train.valid unless
given. `bptt score` of the same bytes must agree to what float32 arithmetic loses.
"""
import argparse
import json
import math
import struct

import torch
from torch import nn
import torch.nn.functional as F

CHUNK = 2000                                            # time steps at once; bounds memory, not the loss
TYPES = {"F32": torch.float32, "F64": torch.float64}


class CharRNN(nn.Module):
    """The module whose state_dict has the names that model files use."""

    def __init__(self, V, H, L, cell):
        super().__init__()
        self.rnn = nn.RNN(V, H, L, nonlinearity=cell)
        self.decoder = nn.Linear(H, V)


def read_safetensors(path):
    """(tensors by name, metadata). Offsets must be in order and fill the data without holes."""
    with open(path, "rb") as f:
        raw = f.read()
    (length,) = struct.unpack_from("<Q", raw)
    header = json.loads(raw[8:8 + length].decode("utf-8"))
    metadata = header.pop("__metadata__", {})
    data, tensors, end = raw[8 + length:], {}, 0
    for name, t in sorted(header.items(), key=lambda item: item[1]["data_offsets"]):
        begin, stop = t["data_offsets"]
        if begin != end or stop > len(data):
            raise ValueError(f"{name} lies at {begin}..{stop}, the one before it ends at {end} of {len(data)}")
        end = stop
        if name.startswith("train."):                   # a trainer's own: counters, moments, carried state
            continue
        x = torch.frombuffer(bytearray(data[begin:stop]), dtype=TYPES[t["dtype"]])
        tensors[name] = x.reshape(t["shape"])
    if end != len(data):
        raise ValueError(f"{len(data) - end} bytes after the last tensor")
    return tensors, metadata


def build(tensors, metadata):
    """The model in float64, and its vocabulary: bytes in the order of the tokens."""
    vocabulary = bytes.fromhex(metadata["vocabulary"])
    if len(set(vocabulary)) != len(vocabulary):
        raise ValueError("a byte stands twice in the vocabulary")
    model = CharRNN(len(vocabulary), int(metadata["hidden"]), int(metadata["layers"]), metadata["cell"]).double()
    model.load_state_dict(tensors, strict=True)
    return model, vocabulary


def encode(text, vocabulary):
    """The tokens [N] of a text."""
    rank = {byte: i for i, byte in enumerate(vocabulary)}
    strange = sorted(set(text) - set(vocabulary))
    if strange:
        raise ValueError(f"bytes that the model never saw: {bytes(strange)!r}")
    return torch.tensor([rank[byte] for byte in text], dtype=torch.int64)


@torch.no_grad()
def score(model, ids, V):
    """Mean loss of predicting ids[1:], one stream, zero state first, state carried."""
    n, total, state, eye = len(ids) - 1, 0.0, None, torch.eye(V, dtype=torch.float64)
    for i in range(0, n, CHUNK):
        j = min(n, i + CHUNK)
        h, state = model.rnn(eye[ids[i:j]].unsqueeze(1), state)
        total += F.cross_entropy(model.decoder(h[:, 0]), ids[i + 1:j + 1], reduction="sum").item()
    return total / n


def main():
    a = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    a.add_argument("model")
    a.add_argument("text")
    a.add_argument("--valid", type=float, metavar="F", help="fraction of the text at its end; default: the file's")
    o = a.parse_args()
    tensors, metadata = read_safetensors(o.model)
    model, vocabulary = build(tensors, metadata)
    if o.valid is None and "train.valid" not in metadata:
        a.error("the file names no train.valid; give --valid")
    valid = float(metadata["train.valid"]) if o.valid is None else o.valid
    with open(o.text, "rb") as f:
        text = f.read()
    part = text[math.floor((1 - valid) * len(text)):]
    if not 0 < valid <= 1 or len(part) < 2:
        a.error(f"nothing to predict in {valid} of {len(text)} bytes")
    loss = score(model, encode(part, vocabulary), len(vocabulary))
    if not math.isfinite(loss):
        raise SystemExit(f"the loss is {loss}")
    print(json.dumps({"loss": loss, "n": len(part) - 1}))


if __name__ == "__main__":
    main()
