#!/usr/bin/env python3
"""Trains the nets of curve.json with PyTorch in double, on curve.txt, and writes their curves: one flat object,
"name": {"shape": [..], "data": [..]}, numbers that read back equal. The protocol is that of bptt_trainer (bptt.h).

    make_curve.py > curve.json          # any PyTorch for the CPU
"""
import json
import math
import os

import numpy as np
import torch
import torch.nn.functional as F

H, L, B, T, STEPS = 50, 2, 17, 25, 50
RATE, CLIP, TRAIN = 2e-3, 0.4, 0.95
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
    """Weights uniform in +-1/sqrt(H), rounded to float, layer by layer; biases zero, bias_hh not trained."""
    stream = splitmix(seed)

    def draw(w):
        values = [np.float32((2 * next(stream) - 1) / math.sqrt(H)) for _ in range(w.numel())]
        w.copy_(torch.tensor(np.array(values)).reshape(w.shape))

    with torch.no_grad():
        for l in range(L):
            draw(getattr(rnn, f'weight_ih_l{l}'))
            draw(getattr(rnn, f'weight_hh_l{l}'))
            getattr(rnn, f'bias_ih_l{l}').zero_()
            getattr(rnn, f'bias_hh_l{l}').zero_().requires_grad_(False)
        draw(out.weight)
        out.bias.zero_()


def validation(rnn, out, eye, ids):
    with torch.no_grad():
        h, _ = rnn(eye[ids[:-1]].unsqueeze(1))
        return F.cross_entropy(out(h[:, 0]), ids[1:]).item()


def curve(text, seed):
    letters = sorted(set(text))
    ids = torch.tensor([letters.index(c) for c in text])
    V, n_train = len(letters), int(TRAIN * len(text))
    length = (n_train - 1) // B
    eye = torch.eye(V, dtype=torch.float64)
    rnn, out = torch.nn.RNN(V, H, L).double(), torch.nn.Linear(H, V).double()
    first_weights(rnn, out, seed)
    weights = [w for w in [*rnn.parameters(), *out.parameters()] if w.requires_grad]
    adam = torch.optim.Adam(weights, lr=RATE)
    losses, norms, h = [], [], None
    before = validation(rnn, out, eye, ids[n_train:])
    for step in range(STEPS):
        k = step % (length // T)
        at = torch.arange(B)[None] * length + k * T + torch.arange(T)[:, None]  # [T][B]
        y, h = rnn(eye[ids[at]], None if k == 0 else h.detach())
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
    return {'loss': losses, 'norm': norms, 'valid': [before, validation(rnn, out, eye, ids[n_train:])]}


def main():
    torch.set_num_threads(1)
    with open(os.path.join(os.path.dirname(__file__), 'curve.txt'), 'rb') as f:
        text = f.read()
    sizes = {'H': H, 'L': L, 'B': B, 'T': T, 'steps': STEPS, 'rate': RATE, 'clip': CLIP, 'train': TRAIN}
    out = {f'all.{name}': {'shape': [1], 'data': [x]} for name, x in sizes.items()}
    for seed in 1, 2:
        for name, x in curve(text, seed).items():
            out[f's{seed}.{name}'] = {'shape': [len(x)], 'data': x}
    print('{')
    print(',\n'.join(f'"{name}": {json.dumps(out[name])}' for name in out))
    print('}')


main()
