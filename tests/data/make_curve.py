#!/usr/bin/env python3
"""Trains the nets of curve.json with PyTorch in double, on curve.txt, and writes their curves: one flat object,
"name": {"shape": [..], "data": [..]}, numbers that read back equal. The protocol is that of bptt_trainer.h, with
one trained bias and init reference.

    make_curve.py > curve.json          # any PyTorch for the CPU
"""
import json
import math
import os

import numpy as np
import torch
import torch.nn.functional as F

B, T, STEPS = 17, 25, 50
RATE, CLIP, TRAIN = 2e-3, 0.4, 0.95
CURVES = {'s1': ('tanh', 50, 2, 1), 's2': ('tanh', 50, 2, 2), 'gru': ('gru', 33, 2, 3), 'lstm': ('lstm', 33, 2, 4)}
NN = {'tanh': torch.nn.RNN, 'gru': torch.nn.GRU, 'lstm': torch.nn.LSTM}
MASK = (1 << 64) - 1


def splitmix(state):
    """Reals in [0, 1) with 24 bits."""
    while True:
        state = (state + 0x9E3779B97F4A7C15) & MASK
        z = state
        z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & MASK
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & MASK
        yield ((z ^ (z >> 31)) >> 40) * 2.0 ** -24


def first_weights(rnn, out, seed):
    """Weights uniform in +-1/sqrt(H), rounded to float, layer by layer; biases zero but for an LSTM's forget gate, 1.
    Of bias_hh only that of a GRU's n is trained."""
    stream, H = splitmix(seed), rnn.hidden_size

    def draw(w):
        values = [np.float32((2 * next(stream) - 1) / math.sqrt(H)) for _ in range(w.numel())]
        w.copy_(torch.tensor(np.array(values)).reshape(w.shape))

    with torch.no_grad():
        for l in range(rnn.num_layers):
            draw(getattr(rnn, f'weight_ih_l{l}'))
            draw(getattr(rnn, f'weight_hh_l{l}'))
            getattr(rnn, f'bias_ih_l{l}').zero_()
            hidden = getattr(rnn, f'bias_hh_l{l}').zero_()
            if isinstance(rnn, torch.nn.GRU):
                hidden.register_hook(lambda g: torch.cat([torch.zeros_like(g[:2 * H]), g[2 * H:]]))
            else:
                hidden.requires_grad_(False)
            if isinstance(rnn, torch.nn.LSTM):
                getattr(rnn, f'bias_ih_l{l}')[H:2 * H] = 1
        draw(out.weight)
        out.bias.zero_()


def detached(state):
    return tuple(s.detach() for s in state) if isinstance(state, tuple) else state.detach()


def validation(rnn, out, eye, ids):
    with torch.no_grad():
        h, _ = rnn(eye[ids[:-1]].unsqueeze(1))
        return F.cross_entropy(out(h[:, 0]), ids[1:]).item()


def curve(text, cell, H, L, seed):
    letters = sorted(set(text))
    ids = torch.tensor([letters.index(c) for c in text])
    V, n_train = len(letters), int(TRAIN * len(text))
    length = (n_train - 1) // B
    eye = torch.eye(V, dtype=torch.float64)
    rnn, out = NN[cell](V, H, L).double(), torch.nn.Linear(H, V).double()
    first_weights(rnn, out, seed)
    weights = [w for w in [*rnn.parameters(), *out.parameters()] if w.requires_grad]
    adam = torch.optim.Adam(weights, lr=RATE)
    losses, norms, h = [], [], None
    before = validation(rnn, out, eye, ids[n_train:])
    for step in range(STEPS):
        k = step % (length // T)
        at = torch.arange(B)[None] * length + k * T + torch.arange(T)[:, None]  # [T][B]
        y, h = rnn(eye[ids[at]], None if k == 0 else detached(h))
        loss = F.cross_entropy(out(y).reshape(-1, V), ids[at + 1].reshape(-1))
        adam.zero_grad()
        loss.backward()
        norm = math.sqrt(sum((w.grad ** 2).sum().item() for w in weights))
        if norm > CLIP:
            for w in weights:
                w.grad.mul_(CLIP / (norm + 1e-6))
        adam.step()
        losses.append(loss.item())
        norms.append(norm)
    return {'H': [H], 'L': [L], 'seed': [seed], 'loss': losses, 'norm': norms, 'valid': [before, validation(rnn, out, eye, ids[n_train:])]}


def main():
    torch.set_num_threads(1)
    with open(os.path.join(os.path.dirname(__file__), 'curve.txt'), 'rb') as f:
        text = f.read()
    sizes = {'B': B, 'T': T, 'steps': STEPS, 'rate': RATE, 'clip': CLIP, 'train': TRAIN}
    out = {f'all.{name}': {'shape': [1], 'data': [x]} for name, x in sizes.items()}
    for one, net in CURVES.items():
        for name, x in curve(text, *net).items():
            out[f'{one}.{name}'] = {'shape': [len(x)], 'data': x}
    print('{')
    print(',\n'.join(f'"{name}": {json.dumps(out[name])}' for name in out))
    print('}')


main()
