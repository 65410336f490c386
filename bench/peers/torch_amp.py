#!/usr/bin/env python3
"""A peer for samples/amp.c: PyTorch trains the same network on the same signals (amp --write FILE) and prints its
error-to-signal ratio on the part that is held out.

LSTM of 16 units, linear layer, the input added to the output; squared error; Adam, rate from 1e-2 to 5e-4 in a line,
the gradient norm clipped at 1; 32 windows of 320 samples, the first 64 without loss, each from the zero state. Initial
weights by bptt's law (biases zero, one a gate, that of the forget gate 1) or with --init torch by PyTorch's. Weights
and windows come from PyTorch's generator.
"""
import argparse
import json
import time

from torch_rnn import limit_threads

import numpy
import torch
from torch import nn

TRAINED, BATCH, BURN_IN, STEPS = 20 * 16000, 32, 64, 320


class Amp(nn.Module):
    def __init__(self, init):
        super().__init__()
        self.rnn, self.decoder = nn.LSTM(1, 16), nn.Linear(16, 1)  # all uniform in +-1/sqrt(16)
        if init == "bptt":
            for bias in (self.rnn.bias_ih_l0, self.rnn.bias_hh_l0, self.decoder.bias):
                nn.init.zeros_(bias)
            nn.init.ones_(self.rnn.bias_ih_l0.data[16:32])
            self.rnn.bias_hh_l0.requires_grad_(False)

    def forward(self, x):
        return self.decoder(self.rnn(x)[0]) + x


def train(model, x, y, updates):
    optimizer = torch.optim.Adam(model.parameters())
    for n in range(updates):
        for group in optimizer.param_groups:
            group["lr"] = 1e-2 * (1 - 0.95 * n / updates)
        at = torch.randint(TRAINED - STEPS, (BATCH,)) + torch.arange(STEPS).unsqueeze(1)
        optimizer.zero_grad(set_to_none=True)
        error = (model(x[at].unsqueeze(2)).squeeze(2) - y[at])[BURN_IN:]
        error.square().mean().backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1)
        optimizer.step()


def main():
    a = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    a.add_argument("signals", metavar="FILE")
    a.add_argument("--updates", type=int, default=400)
    a.add_argument("--init", choices=["bptt", "torch"], default="bptt")
    a.add_argument("--seed", type=int, default=1)
    o = a.parse_args()
    limit_threads(1)
    torch.set_num_threads(1)
    torch.manual_seed(o.seed)
    x, y = torch.from_numpy(numpy.fromfile(o.signals, dtype="<f4").reshape(-1, 2).copy()).unbind(1)
    model, start = Amp(o.init), time.process_time()
    train(model, x, y, o.updates)
    seconds = time.process_time() - start
    with torch.no_grad():
        truth = y[TRAINED:].double()
        error = model(x[TRAINED:].reshape(-1, 1, 1)).flatten().double() - truth
    print(json.dumps({"peer": "torch", "version": torch.__version__, "updates": o.updates, "init": o.init,
                      "seed": o.seed, "cpu_seconds": round(seconds, 1),
                      "error_to_signal": round((error.square().sum() / truth.square().sum()).item(), 5)}))


if __name__ == "__main__":
    main()
