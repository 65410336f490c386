#!/usr/bin/env python3
"""A peer for `bptt train`: the validation loss that PyTorch reaches in so many seconds of CPU time on one thread.

The split and the streams of bptt: the last --valid of the text is held out, the rest is cut into B contiguous streams,
the state is carried and detached, and is zero at each start of an epoch. Adam, the gradient norm clipped at 5, dense
one-hot input (a row gather). Validation: one stream over the part that is held out, from a state of zeros. The seconds
count from the first update: neither the import nor the validation is among them.
"""
import argparse
import json
import time

from torch_rnn import Windows, limit_threads, tokens

import torch
from torch import nn
import torch.nn.functional as F


def options():
    a = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    a.add_argument("text", metavar="TEXT")
    a.add_argument("--cell", choices=["tanh", "lstm", "gru"], default="tanh")
    a.add_argument("--hidden", type=int, default=256, metavar="H")
    a.add_argument("--layers", type=int, default=2, metavar="L")
    a.add_argument("--batch", type=int, default=32, metavar="B")
    a.add_argument("--steps", type=int, default=64, metavar="T")
    a.add_argument("--rate", type=float, default=2e-3)
    a.add_argument("--valid", type=float, default=0.05)
    a.add_argument("--seed", type=int, default=1)
    a.add_argument("--cpu-seconds", type=float, default=120)
    return a.parse_args()


class Model(nn.Module):
    def __init__(self, o, V):
        super().__init__()
        kind = {"tanh": nn.RNN, "lstm": nn.LSTM, "gru": nn.GRU}[o.cell]
        self.rnn, self.decoder = kind(V, o.hidden, o.layers), nn.Linear(o.hidden, V)
        self.register_buffer("eye", torch.eye(V))

    def forward(self, x, state):
        h, state = self.rnn(self.eye[x], state)
        return self.decoder(h).flatten(0, 1), state


def detach(state):
    return tuple(s.detach() for s in state) if isinstance(state, tuple) else state.detach()


def train(model, windows, o):
    """Updates made in the CPU time allowed."""
    optimizer = torch.optim.Adam(model.parameters(), lr=o.rate)
    state, updates, start = None, 0, time.process_time()
    while time.process_time() - start < o.cpu_seconds:
        x, y, first = windows.next()
        optimizer.zero_grad(set_to_none=True)
        out, state = model(x, None if first else state)
        state = detach(state)
        F.cross_entropy(out, y.reshape(-1)).backward()
        nn.utils.clip_grad_norm_(model.parameters(), 5)
        optimizer.step()
        updates += 1
    return updates, time.process_time() - start


@torch.no_grad()
def validate(model, ids, piece=1000):
    total, state = 0.0, None
    for i in range(0, len(ids) - 1, piece):
        x = ids[i:i + piece + 1]
        out, state = model(x[:-1].unsqueeze(1), state)
        total += F.cross_entropy(out.double(), x[1:], reduction="sum").item()
    return total / (len(ids) - 1)


def main():
    o = options()
    limit_threads(1)
    torch.set_num_threads(1)
    torch.manual_seed(o.seed)
    ids, V = tokens(o.text, 0, o.batch * o.steps + 2)
    n = int((1 - o.valid) * len(ids))
    model = Model(o, V)
    updates, seconds = train(model, Windows(ids[:n], o.batch, o.steps), o)
    print(json.dumps({"peer": "torch", "version": torch.__version__, "cell": o.cell, "hidden": o.hidden,
                      "layers": o.layers, "batch": o.batch, "steps": o.steps, "seed": o.seed, "updates": updates,
                      "cpu_seconds": round(seconds, 1), "valid_loss": validate(model, ids[n:])}))


if __name__ == "__main__":
    main()
