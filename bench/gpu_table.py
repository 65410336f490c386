#!/usr/bin/env python3
"""Markdown tables out of the rows of bench/gpu.sh (JSON lines); Python's standard library only.

    python3 bench/gpu_table.py gpu.jsonl

A line that is no JSON object is left out and told on stderr. A row with "error", "failed" or "skipped" is listed with
its reason. The keys of a row: bench/README.md.
"""
import json
import sys

PRECISIONS = ("fp32", "tf32", "bf16", "fp16")
CONTESTANTS = ("bptt:", "cudnn:standard", "cudnn:small", "cudnn:static", "cudnn:dynamic", "torch")
ERRORS = {"forward": ("error_y",), "both": ("error_dx", "error_dw")}


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
            rows.append(dict(json.loads(line).items()))
        except (ValueError, AttributeError, RecursionError):
            print(f"gpu_table.py: line {n} is no JSON object: left out", file=sys.stderr)
    return rows


def section(title, head=(), lines=()):
    print(f"## {title}\n")
    table(head, lines)


def table(head, lines):
    if lines:
        print("| " + " | ".join(text(cell) for cell in head) + " |\n|" + "---|" * len(head))
        print("".join("| " + " | ".join(text(cell) for cell in line) + " |\n" for line in lines))


# ---- layers and training ------------------------------------------------------------------------

def place(names, one):
    """For sorting: by the first of the names that it starts with; strangers last."""
    return ([one.startswith(name) for name in names] + [True]).index(True), one


def shape_of(row):
    """(cell, H, L, B, T, precision); bptt bench writes sizes as words. None if one is missing."""
    sizes = [number(row.get(a, row.get(b))) for a, b in zip("HLBT", ("hidden", "layers", "batch", "steps"))]
    return None if None in sizes else (text(row.get("cell", "tanh")), *sizes, text(row.get("precision", "fp32")))


def words(shape):
    return "{} H={} L={} B={} T={} {}".format(*shape)


def order(shape):
    cell, H, L, B, T, precision = shape
    return (cell, L, H, B, T, place(PRECISIONS, precision))


def contestant(row):
    ours = f"bptt:{row.get('backend', 'unknown')}" + (":never" if row.get("lowering") == "never" else "")
    return text(row.get("contestant", ours))


def predicted_steps(said):
    """{(H, B, precision): us a step of one tanh layer, forward}: of the tables whose first column is "H, B"."""
    steps, head = {}, []
    for line in said.splitlines():
        cells = [cell.strip() for cell in line.strip("| ").split("|")]
        if cells[0] == "H, B":
            head = cells
        for name, cell in zip(head[1:], cells[1:]):
            try:
                H, B = cells[0].split(",")
                steps.update({(int(H), int(B), p): float(cell) for p in name.replace(" ", "").split(",")})
            except ValueError:
                pass
    return steps


def result(row, name, scale=1e3):
    """Median (quartiles), largest error, OTHER BITS. bptt bench names its quartiles ms_q1, ms_q3."""
    if not number(row.get(name)):
        return ""
    q1, q3 = (number(row.get(name + q, row.get("ms" + q))) for q in ("_q1", "_q3"))
    errors = [row.get(e) for e in ERRORS.get(name[3:], ())]
    return (f"{scale * row[name]:.4g}" + (f" ({scale * q1:.4g}..{scale * q3:.4g})" if q1 and q3 else "") +
            (f" e {max(errors):.2g}" if errors and all(e == 0 or number(e) for e in errors) else "") +
            (" OTHER BITS" if row.get("same") is False else ""))


def best(cell, name, ours):
    times = [r[name] for who, r in cell.items() if who.startswith("bptt:") == ours and number(r.get(name))]
    return min(times, default=None)


def ratio(a, b):
    return f"{a / b:.2f}" if a and b else ""


def show_layers(rows, predicted):
    section("Layers")
    cells = {}
    for r in rows:
        if shape_of(r) and number(r.get("ms_forward")):
            cells.setdefault(shape_of(r), {})[contestant(r)] = r
    who = sorted({w for cell in cells.values() for w in cell}, key=lambda w: place(CONTESTANTS, w))
    for name, title in (("ms_forward", "Forward"), ("ms_both", "Forward and backward")):
        lines = []
        for s in sorted(cells, key=order):
            cell, (kind, H, L, B, T, precision) = cells[s], s
            ours, peer = best(cell, name, True), best(cell, name, False)
            if not ours and not peer:
                continue
            model = max(number(r.get("model_" + name)) or 0 for r in cell.values())
            step = predicted.get((H, B, precision)) if (kind, L, name) == ("tanh", 1, "ms_forward") else None
            lines.append((words(s), *(result(cell.get(w, {}), name) for w in who), ratio(peer, ours),
                          ratio(ours, model), step * T if step else "", ratio(ours, step and step * T / 1e3)))
        print(f"{title}: us, median (quartiles); e: largest error beside double precision; OTHER BITS: a second run\n"
              "differed. Caches are warm. best peer / bptt: above 1, bptt is faster. model: two kernels a step in one\n"
              "graph, on an H100.\n")
        table(("shape", *who, "best peer / bptt", "bptt / model", "predicted", "bptt / predicted"), lines)
    show_slopes(cells, who)


def show_slopes(cells, who):
    """us that one more step takes, from the shortest to the longest T of a shape."""
    points, lines = {}, []
    for (cell, H, L, B, T, precision), found in cells.items():
        for w, r in found.items():
            shape = f"{cell} H={H} L={L} B={B} {precision}"
            points.setdefault(shape, {}).setdefault(w, []).append((T, r["ms_forward"]))
    for shape, found in points.items():
        ends = {w: (min(p), max(p)) for w, p in found.items()}
        us = {w: 1e3 * (b[1] - a[1]) / (b[0] - a[0]) for w, (a, b) in ends.items() if b[0] > a[0]}
        if us:
            lines.append((shape, *(us.get(w, "") for w in who)))
    if lines:
        print("Slope over T, forward: us that one more step takes.\n")
    table(("shape", *who), lines)


def show_train(rows):
    done = [r for r in rows if shape_of(r) and number(r.get("ms_per_step"))]
    section("Training", ("shape", "contestant", "ms an update (quartiles)", "characters/s"),
            [(words(shape_of(r)), contestant(r), result(r, "ms_per_step", 1),
              1e3 * shape_of(r)[3] * shape_of(r)[4] / r["ms_per_step"])
             for r in sorted(done, key=lambda r: (order(shape_of(r)), contestant(r)))])


# ---- the other parts ----------------------------------------------------------------------------

def show_tests(rows):
    done = [r for r in rows if "result" in r]
    other = [(r.get("name"), r["result"], r.get("seconds", "")) for r in done if r["result"] != "Passed"]
    section("Tests")
    print(f"{len(done) - len(other)} of {len(done)} passed.\n")
    table(("test", "result", "s"), other)


def show_sanitize(rows):
    section("Sanitizers", ("tool", "result"), [(r.get("name"), r["result"]) for r in rows if "result" in r])


def show_kernels(rows):
    """Of ncu's lines: how often each kernel ran and how long, the longest first."""
    times, head = {}, []
    for r in rows:
        line = r.get("csv", [])
        head = line if "Kernel Name" in line else head
        fields = dict(zip(head, line))
        try:
            key = (contestant(r), text(fields["Kernel Name"])[:80], fields["Metric Unit"])
            times.setdefault(key, []).append(float(fields["Metric Value"].replace(",", "")))
        except (KeyError, ValueError):
            continue
    longest = sorted(((who, -sum(t), kernel, t, unit) for (who, kernel, unit), t in times.items() if t))
    section("Kernels", ("contestant", "kernel", "launches", "mean", "unit"),
            [(who, kernel, len(t), -total / len(t), unit) for who, total, kernel, t, unit in longest])


def show_reasons(rows):
    have = {}
    for r in rows:
        shape, why = shape_of(r), [f"{key}: {text(r[key])}" for key in ("error", "failed", "skipped") if r.get(key)]
        if not why and shape and not number(r.get("ms_forward", r.get("ms_per_step"))):
            why = ["no time"]
        name = f"{contestant(r)}, {words(shape)}" if shape else text(r.get("name", "a row"))
        for w in why:
            have.setdefault(w, []).append(f"{text(r.get('part', ''))}: {name}")
    if have:
        section("Without a result")
        print("\n".join(f"- {why}: {'; '.join(who)}" for why, who in have.items()) + "\n")


def show(rows):
    def part(*names):
        return [r for r in rows if r.get("part") in names]
    said = "\n".join(str(r.get("text", "")) for r in part("prediction"))
    section("Prediction")
    print("\n".join(f"> {line}" for line in said.splitlines()) + "\n")
    section("Machine", ("what", "value"), [(r.get("name", ""), r["value"]) for r in rows if "value" in r])
    if part("anchors", "bptt"):
        show_layers(part("anchors", "bptt"), predicted_steps(said))
    others = {"train": show_train, "tests": show_tests, "sanitize": show_sanitize, "kernels": show_kernels}
    for name, printer in others.items():
        if part(name):
            printer(part(name))
    show_reasons(rows)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: gpu_table.py gpu.jsonl")
    sys.stdout.reconfigure(encoding="utf-8")
    with open(sys.argv[1], encoding="utf-8", errors="replace") as f:
        show(read(f))
