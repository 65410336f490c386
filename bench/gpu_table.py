#!/usr/bin/env python3
"""Markdown tables out of the rows of bench/gpu.sh (JSON lines); Python's standard library only.

    python3 bench/gpu_table.py gpu.jsonl

A line that is no JSON object is left out and told on stderr. A row with "error", "failed" or "skipped" has no result
and is listed with its reason. The keys of a row: bench/README.md.
"""
import json
import sys

PRECISIONS = ("fp32", "tf32", "bf16", "fp16")
CONTESTANTS = ("bptt:", "cudnn:standard", "cudnn:small", "cudnn:static", "cudnn:dynamic", "torch")


def number(value):
    """A finite number above 0, else None; true is none."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    return value if 0 < value < 1e300 else None


def text(value):
    """A cell of a table."""
    value = f"{value:.4g}" if isinstance(value, float) else str(value)
    return " ".join(value.replace("|", "/").split())


def read(lines):
    rows = []
    for n, line in enumerate(lines, 1):
        try:
            row = json.loads(line)
        except (ValueError, RecursionError):
            row = None
        if isinstance(row, dict):
            rows.append(row)
        else:
            print(f"gpu_table.py: line {n} is no JSON object: left out", file=sys.stderr)
    return rows


def reason(row):
    for key in ("error", "failed", "skipped"):
        if row.get(key):
            return (key + ": " if key != "error" else "") + text(row[key])
    timed = "ms_forward" in row or "ms_per_step" in row
    return "no time" if timed and not number(row.get("ms_forward", row.get("ms_per_step"))) else None


def table(head, lines):
    if lines:
        print("| " + " | ".join(text(cell) for cell in head) + " |\n|" + "---|" * len(head))
        for line in lines:
            print("| " + " | ".join(text(cell) for cell in line) + " |")
        print()


def section(title):
    print(f"## {title}\n")


# ---- layers -------------------------------------------------------------------------------------

def place(names, one):
    """For sorting: by the longest of the names that it starts with; strangers last."""
    known = [name for name in names if one.startswith(name)]
    return (names.index(max(known, key=len)) if known else len(names), one)


def shape_of(row):
    """(cell, H, L, B, T, precision); bptt bench writes sizes as words. None if one is missing."""
    sizes = [row.get(a, row.get(b)) for a, b in (("H", "hidden"), ("L", "layers"), ("B", "batch"), ("T", "steps"))]
    if None in map(number, sizes):
        return None
    return (text(row.get("cell", "tanh")), *map(int, sizes), text(row.get("precision", "fp32")))


def shape_words(shape):
    return "{} H={} L={} B={} T={} {}".format(*shape)


def order(shape):
    cell, H, L, B, T, precision = shape
    return (cell, L, H, B, T, place(PRECISIONS, precision))


def contestant(row):
    return text(row.get("contestant") or ("bptt:" + row["backend"] if row.get("backend") else "unknown"))


def predicted_steps(rows):
    """{(H, B, precision): us a step of one layer, forward, tanh}, of a table of the prediction with a column "H, B"."""
    steps, head = {}, None
    for line in "\n".join(str(r.get("text", "")) for r in rows).splitlines():
        cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
        if not line.strip().startswith("|"):
            head = None
        elif cells[0] == "H, B":
            head = cells
        elif head:
            for name, cell in zip(head[1:], cells[1:]):
                try:
                    H, B, us = *map(int, cells[0].split(",")), float(cell)
                except ValueError:
                    continue
                steps.update({(H, B, precision): us for precision in name.replace(" ", "").split(",")})
    return steps


def time_cell(row, name, scale=1e3):
    """Median and quartiles; bptt bench names its quartiles ms_q1, ms_q3."""
    if row is None or number(row.get(name)) is None:
        return ""
    q1, q3 = (number(row.get(name + q, row.get("ms" + q))) for q in ("_q1", "_q3"))
    return f"{scale * row[name]:.4g}" + (f" ({scale * q1:.4g}..{scale * q3:.4g})" if q1 and q3 else "")


def error_cell(row, names):
    if row is None:
        return ""
    errors = [row.get(n) for n in names]
    worst = f"{max(errors):.2g} " if all(e == 0 or number(e) for e in errors) else ""
    return worst + {True: "same bits", False: "OTHER BITS"}.get(row.get("same"), "")


def best(cell, name, ours):
    times = [r[name] for who, r in cell.items() if who.startswith("bptt:") == ours and number(r.get(name))]
    return min(times) if times else None


def ratio(a, b):
    return f"{a / b:.2f}" if a and b else ""


def show_layers(rows, predicted):
    section("Layers")
    cells = {}
    for r in rows:
        if shape_of(r) and number(r.get("ms_forward")):
            cells.setdefault(shape_of(r), {})[contestant(r)] = r
    shapes = sorted(cells, key=order)
    who = sorted({w for cell in cells.values() for w in cell}, key=lambda w: place(CONTESTANTS, w))
    for title, name, errors in (("Forward", "forward", ["error_y"]),
                                ("Forward and backward", "both", ["error_dx", "error_dw"])):
        ms, lines, accuracy = "ms_" + name, [], []
        for s in shapes:
            cell = cells[s]
            ours, peer = best(cell, ms, True), best(cell, ms, False)
            model = max(number(r.get("model_" + ms)) or 0 for r in cell.values())
            if not ours and not peer:
                continue
            us = predicted.get((s[1], s[3], s[5])) if s[0] == "tanh" and s[2] == 1 and name == "forward" else None
            lines.append((shape_words(s), *(time_cell(cell.get(w), ms) for w in who), ratio(peer, ours),
                          ratio(ours, model), "" if us is None else f"{us * s[4]:.4g}",
                          ratio(ours, us and us * s[4] / 1e3)))
            accuracy.append((shape_words(s), *(error_cell(cell.get(w), errors) for w in who)))
        if lines:
            print(f"{title}: us, median (quartiles), of all contestants with warm caches. best peer / bptt: above 1,\n"
                  "bptt is faster. Model: two kernels a step in one graph, products at peak, on an H100.\n")
        table(("shape", *who, "best peer / bptt", "bptt / model", "predicted", "bptt / predicted"), lines)
        if lines:
            print(f"{title}: largest error beside double precision; whether a second run gave the same bits.\n")
        table(("shape", *who), accuracy)
    show_slopes(cells, who)


def show_slopes(cells, who):
    """us that one more step takes, from the shortest to the longest T of a shape."""
    lines = {}
    for s in cells:
        for w, r in cells[s].items():
            lines.setdefault(s[:4] + s[5:], {}).setdefault(w, []).append((s[4], r["ms_forward"]))
    slopes = []
    for s, found in sorted(lines.items(), key=str):
        ends = {w: (min(p), max(p)) for w, p in found.items()}
        us = {w: 1e3 * (b[1] - a[1]) / (b[0] - a[0]) for w, (a, b) in ends.items() if b[0] > a[0]}
        if us:
            slopes.append(("{} H={} L={} B={} {}".format(*s), *(us.get(w, "") for w in who)))
    if slopes:
        print("Slope over T, forward: us that one more step takes.\n")
    table(("shape", *who), slopes)


# ---- the other parts ----------------------------------------------------------------------------

def show_train(rows):
    done = [r for r in rows if shape_of(r) and number(r.get("ms_per_step"))]
    section("Training")
    table(("shape", "contestant", "ms an update (quartiles)", "characters/s"),
          [(shape_words(shape_of(r)), contestant(r) + (":never" if r.get("lowering") == "never" else ""),
            time_cell(r, "ms_per_step", 1), f"{1e3 * shape_of(r)[3] * shape_of(r)[4] / r['ms_per_step']:.4g}")
           for r in sorted(done, key=lambda r: (order(shape_of(r)), contestant(r)))])


def show_tests(rows):
    done = [r for r in rows if "result" in r]
    section("Tests")
    print(f"{sum(r['result'] == 'Passed' for r in done)} of {len(done)} passed.\n")
    table(("test", "result", "s"),
          [(r.get("name"), r["result"], r.get("seconds", "")) for r in done if r["result"] != "Passed"])


def show_sanitize(rows):
    section("Sanitizers")
    table(("tool", "result"), [(r.get("name"), r["result"]) for r in rows if "result" in r])


def show_kernels(rows):
    """Of ncu's lines: how often each kernel ran and how long, the longest first."""
    section("Kernels")
    sums, head = {}, []
    for r in rows:
        line = r.get("csv", [])
        if "Kernel Name" in line:
            head = line
            continue
        fields = dict(zip(head, line))
        try:
            time = float(fields["Metric Value"].replace(",", ""))
        except (KeyError, ValueError):
            continue
        key = (contestant(r), text(fields["Kernel Name"])[:80], fields.get("Metric Unit", ""))
        sums.setdefault(key, []).append(time)
    longest = sorted(sums.items(), key=lambda item: (item[0][0], -sum(item[1])))
    table(("contestant", "kernel", "launches", "mean", "unit"),
          [(who, kernel, len(t), sum(t) / len(t), unit) for (who, kernel, unit), t in longest])


def show_reasons(rows):
    have = {}
    for r in rows:
        if reason(r):
            shape = shape_of(r)
            name = f"{contestant(r)}, {shape_words(shape)}" if shape else text(r.get("name", "a row"))
            have.setdefault(reason(r), []).append(f"{text(r.get('part', ''))}: {name}")
    if have:
        section("Without a result")
        print("\n".join(f"- {why}: {'; '.join(who)}" for why, who in have.items()) + "\n")


def show(rows):
    parts = {}
    for r in rows:
        parts.setdefault(r.get("part") if isinstance(r.get("part"), str) else None, []).append(r)
    prediction = parts.get("prediction", [])
    if prediction:
        section("Prediction")
        lines = [line for r in prediction for line in str(r.get("text", "")).splitlines()]
        print("\n".join(f"> {line}".rstrip() for line in lines) + "\n")
    section("Machine")
    table(("what", "value"), [(r.get("name", ""), r["value"]) for r in rows if "value" in r])
    if "anchors" in parts or "bptt" in parts:
        show_layers(parts.get("anchors", []) + parts.get("bptt", []), predicted_steps(prediction))
    others = {"train": show_train, "tests": show_tests, "sanitize": show_sanitize, "kernels": show_kernels}
    for part, printer in others.items():
        if part in parts:
            printer(parts[part])
    show_reasons(rows)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: gpu_table.py gpu.jsonl")
    sys.stdout.reconfigure(encoding="utf-8")
    with open(sys.argv[1], encoding="utf-8", errors="replace") as f:
        show(read(f))
