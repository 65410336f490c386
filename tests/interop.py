#!/usr/bin/env python3
"""What PyTorch makes of model files, with no code shared with bptt.

    interop.py make FOLDER TEXT             writes random models of PyTorch's for TEXT: each cell that it has, one and two
                                            layers, one and two biases, with and without the cell's name in the metadata
    interop.py score FOLDER TEXT --valid F  prints "file loss n" of each model: nats per byte, predictions; "file refused"
                                            if PyTorch's RNN, GRU and LSTM all refuse the tensors

The safetensors file is taken apart by hand (8 bytes: length of the header, little-endian; JSON; data), its weights
go into nn.RNN, nn.GRU or nn.LSTM and nn.Linear by load_state_dict(strict=True), and the part of TEXT after its first
floor((1 - F) N) bytes is read as one stream from zero state, in float64. `bptt score` of the same bytes must agree to
what float32 arithmetic loses.
"""
import argparse
import itertools
import json
import math
import pathlib
import struct
import sys

import torch
from torch import nn
import torch.nn.functional as F

CHUNK = 2000                                            # time steps at once; bounds memory, not the loss
TYPES = {"F32": torch.float32, "F64": torch.float64}


class CharRNN(nn.Module):
    """The module whose state_dict has the names that model files use."""

    def __init__(self, V, H, L, cell):
        super().__init__()
        self.rnn = {"gru": nn.GRU, "lstm": nn.LSTM}[cell](V, H, L) if cell in ("gru", "lstm") else \
            nn.RNN(V, H, L, nonlinearity=cell)
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


def write_safetensors(path, tensors, metadata):
    header, data = {"__metadata__": metadata}, b""
    for name, x in tensors.items():
        part = x.detach().float().contiguous().numpy().tobytes()
        header[name] = {"dtype": "F32", "shape": list(x.shape), "data_offsets": [len(data), len(data) + len(part)]}
        data += part
    text = json.dumps(header).encode()
    with open(path, "wb") as f:
        f.write(struct.pack("<Q", len(text)) + text + data)


def build(tensors, metadata):
    """The model in float64, and its vocabulary: bytes in the order of the tokens."""
    vocabulary = bytes.fromhex(metadata["vocabulary"])
    if len(set(vocabulary)) != len(vocabulary):
        raise ValueError("a byte stands twice in the vocabulary")
    layers = sum(name.startswith("rnn.weight_ih_l") for name in tensors)
    cell = metadata.get("cell") or {1: "tanh", 3: "gru", 4: "lstm"}[tensors["rnn.weight_hh_l0"].shape[0] //
                                                                    tensors["decoder.weight"].shape[1]]
    model = CharRNN(len(vocabulary), tensors["decoder.weight"].shape[1], layers, cell).double()
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


def check_refused(tensors, metadata):
    for cell in "tanh", "gru", "lstm":
        model = CharRNN(int(metadata["vocab"]), int(metadata["hidden"]), int(metadata["layers"]), cell)
        try:
            model.load_state_dict(tensors, strict=True)
        except RuntimeError:
            continue
        sys.exit(f"nn.{type(model.rnn).__name__} takes the tensors of a model of cell {metadata['cell']}")


def score_all(folder, text, valid):
    part = text[math.floor((1 - valid) * len(text)):]
    for path in sorted(folder.glob("*.safetensors")):
        tensors, metadata = read_safetensors(path)
        if metadata.get("cell") in ("mlstm", "mingru", "gru-before"):
            check_refused(tensors, metadata)
            print(path.name, "refused")
            continue
        model, vocabulary = build(tensors, metadata)
        print(path.name, repr(score(model, encode(part, vocabulary), len(vocabulary))), len(part) - 1)


def make(path, vocabulary, cell, layers, biases, named):
    H = 33
    model = CharRNN(len(vocabulary), H, layers, cell)
    with torch.no_grad():
        for w in model.parameters():
            w.mul_(1.5)                                 # gates away from 1/2, tanh not chaotic
        for l in range(layers if biases == 1 else 0):
            getattr(model.rnn, f"bias_hh_l{l}")[:2 * H if cell == "gru" else None] = 0
    metadata = {"vocabulary": vocabulary.hex()}
    write_safetensors(path, model.state_dict(), metadata | ({"cell": cell} if named else {}))


def make_all(folder, text):
    torch.manual_seed(1)
    for cell, layers, biases, named in itertools.product(("tanh", "relu", "gru", "lstm"), (1, 2), (1, 2), (False, True)):
        if cell == "relu" and not named:                # its tensors are those of tanh
            continue
        name = f"pytorch-{cell}-{layers}-{biases}{'-named' if named else ''}.safetensors"
        make(folder / name, bytes(sorted(set(text))), cell, layers, biases, named)


def main():
    a = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    a.add_argument("command", choices=("make", "score"))
    a.add_argument("folder", type=pathlib.Path)
    a.add_argument("text", type=pathlib.Path)
    a.add_argument("--valid", type=float, metavar="F", default=0.1, help="fraction of the text at its end")
    o = a.parse_args()
    if o.command == "make":
        make_all(o.folder, o.text.read_bytes())
    else:
        score_all(o.folder, o.text.read_bytes(), o.valid)


if __name__ == "__main__":
    main()
