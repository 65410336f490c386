"""The mutants of mutants.txt: what mutants.sh runs.

In copies of the tree, one for each worker, everything that judges is built and must pass. Then, one at a time, a text of
a source is replaced by another, what depends on it is built again, and `bptt verify` and one test program run. The
program must fail; verify must fail in the parts that the table names, or hold where it names none.
"""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
TABLE = os.path.join(ROOT, "tests", "mutants.txt")
NO_PART = "-"
WORKERS = 4  # at most: each builds all that judges
SLICE = 6  # mutants of one file that a worker takes at a time; the next of the same file builds less
BUILD_LIMIT = 600  # seconds
LEAST_LIMIT = 120  # for what judges; more if it takes more than a tenth of that where nothing is planted


class Mutant:
    def __init__(self, name):
        self.name = name
        self.file = self.bug = self.test = ""
        self.parts = []  # of verify, which must say that a claim fails
        self.old, self.new = [], []

    def planted(self, text):
        """The text with the mistake, or None if there is not exactly one place for it."""
        old = "\n".join(self.old)
        return text.replace(old, "\n".join(self.new)) if text.count(old) == 1 else None


def read_table():
    """mutants.txt: a name at the start of a line, then "  key value" lines, then -old and +new lines."""
    mutants = []
    with open(TABLE, encoding="utf-8") as table:
        for number, line in enumerate(table, 1):
            line = line.rstrip("\n")
            if not line or line.startswith("#"):
                continue
            if line[0] not in "-+ ":
                mutants.append(Mutant(line))
                continue
            m, (key, _, value) = mutants[-1], line.strip().partition(" ")
            value = value.strip()
            if line[0] == "-":
                m.old.append(line[1:])
            elif line[0] == "+":
                m.new.append(line[1:])
            elif key == "verify":
                m.parts = [] if value == NO_PART else value.split()
            elif key in ("file", "bug", "test"):
                setattr(m, key, value)
            else:
                sys.exit(f"{TABLE}:{number}: there is no key {key}")
    return mutants


def read(path):
    with open(path, encoding="utf-8") as f:
        return f.read()


def complaints(mutants):
    """What is wrong with the table, without building anything."""
    wrong = []
    parts = re.findall(r'^ *\{"(\w+)", verify_\w+, true\}', read(os.path.join(ROOT, "verify/parts.c")), re.M)
    for i, m in enumerate(mutants):
        path = os.path.join(ROOT, m.file)
        if m.name in [other.name for other in mutants[:i]]:
            wrong.append(f"{m.name}: there are two of this name")
        if not (m.file and m.bug and m.test and m.old and m.new):
            wrong.append(f"{m.name}: lacks a file, bug, test, - or + line")
        elif not os.path.isfile(path):
            wrong.append(f"{m.name}: there is no {m.file}")
        elif m.planted(read(path)) is None:
            wrong.append(f"{m.name}: {m.file} has its old text {read(path).count(chr(10).join(m.old))} times, not once")
        if not os.path.isfile(os.path.join(ROOT, "tests", m.test + ".c")):
            wrong.append(f"{m.name}: there is no tests/{m.test}.c")
        wrong += [f"{m.name}: bptt verify runs no part {p} by itself" for p in m.parts if p not in parts]
    return wrong


# ---- running -----------------------------------------------------------------------------------------------------


class Stopped(Exception):
    """Somebody interrupted us."""


class Runner:
    """Commands that end when they take too long, or when we are interrupted, with all that they started."""

    def __init__(self):
        self.lock = threading.Lock()
        self.running = set()
        self.stopped = False
        self.brief = False  # of verify only the parts that must fail
        self.limit = {}  # of each program that judges, seconds: from when nothing was planted
        # what the caller's environment says to our programs is not meant for these
        self.environment = {k: v for k, v in os.environ.items() if not re.match("(BPTT|CK|STANDIN)_", k)}

    def run(self, command, cwd, limit):
        """(exit code, or None if it was ended; what it printed)"""
        with self.lock:
            if self.stopped:
                raise Stopped
            p = subprocess.Popen(command, cwd=cwd, env=self.environment, stdin=subprocess.DEVNULL,
                                 stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True,
                                 encoding="utf-8", errors="replace")
            self.running.add(p)
        code = None
        try:
            printed, _ = p.communicate(timeout=limit)
            code = p.returncode
        except subprocess.TimeoutExpired:
            self.end(p)
            printed, _ = p.communicate()
        with self.lock:
            self.running.discard(p)
            if self.stopped:
                raise Stopped
        return code, printed

    @staticmethod
    def end(p):
        try:
            os.killpg(p.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass

    def stop(self):
        with self.lock:
            self.stopped = True
            for p in self.running:
                self.end(p)


class Tree:
    """A copy of the tree and its build."""

    def __init__(self, runner, folder):
        self.runner, self.root, self.build = runner, folder, os.path.join(folder, "build")

    def make(self, tests):
        """None, or what failed."""
        copy_tree(self.root)
        # No compiler for GPUs, no OpenCL: what judges needs neither. Installed modules are not looked for.
        failed = self.command(["cmake", "-S", ".", "-B", "build", "-G", "Unix Makefiles", "-DCMAKE_BUILD_TYPE=Debug",
                               "-DCMAKE_C_FLAGS_DEBUG=-O2", "-DBPTT_OPENCL_HEADERS=OFF", "-DBPTT_NVCC=",
                               "-DCMAKE_INSTALL_PREFIX=" + os.path.join(self.root, "nowhere")])
        failed = failed or self.compile(tests)
        self.keep_text()
        return failed

    def keep_text(self):
        """The text that bptt carries is made of the sources; it need not follow what is planted, so it stays newer."""
        later = time.time() + 7 * 86400
        for name in ("default_text.c", "CMakeFiles/bptt_cli.dir/default_text.c.o"):
            path = os.path.join(self.build, name)
            later += 1
            if os.path.exists(path):
                os.utime(path, (later, later))

    def command(self, command):
        code, printed = self.runner.run(command, self.root, BUILD_LIMIT)
        said = [line for line in printed.split("\n") if "modification time" not in line and "Clock skew" not in line]
        return None if code == 0 else "\n".join(said[-30:])

    def compile(self, tests):
        return self.command(["cmake", "--build", "build", "--target", "bptt_program", *tests])

    def judge(self, program, *arguments):
        """Runs one of the programs: (exit code, output). The first time says how long it may take the next time."""
        limit, start = self.runner.limit, time.monotonic()
        result = self.runner.run([os.path.join(self.build, program), *arguments], self.build,
                                 limit.get(program, BUILD_LIMIT))
        limit.setdefault(program, max(LEAST_LIMIT, 10 * (time.monotonic() - start)))
        return result

    def verify(self, parts=None):
        """(exit code, parts in which a claim fails) of these parts, one after another; None: of all."""
        if parts is not None:
            results = [self.verify_once(part) for part in parts]
            failed = [part for _, found in results for part in found]
            return (next((code for code, _ in results if code != 1), 1) if results else 0), failed
        return self.verify_once()

    def verify_once(self, *part):
        code, printed = self.judge("bptt", "verify", *part, "--json")
        failed = []
        for line in printed.split("\n"):
            claim = json.loads(line) if line.startswith("{") and line.endswith("}") else {}
            if claim.get("holds") is False and claim["part"] not in failed:
                failed.append(claim["part"])
        return code, failed

    def plant(self, m):
        """The Outcome of a mutant; the source is as it was afterwards."""
        path = os.path.join(self.root, m.file)
        with open(path, encoding="utf-8") as f:
            was = f.read()
        text = m.planted(was)
        if text is None:
            return Outcome(f"{m.file} has its old text {was.count(chr(10).join(m.old))} times, not once")
        try:
            write(path, text)
            failed = self.compile([m.test])
            if failed:
                return Outcome("does not compile:\n" + failed)
            return outcome(m, self.judge(m.test), self.verify(m.parts if self.runner.brief else None))
        finally:
            write(path, was)


def write(path, text):
    with open(path, "w", encoding="utf-8") as f:
        f.write(text)


def copy_tree(to):
    """What git knows of, changed or new files too; without git, all but builds."""
    try:
        listed = subprocess.run(["git", "-C", ROOT, "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
                                check=True, capture_output=True).stdout.decode().split("\0")
        files = [f for f in listed if os.path.isfile(os.path.join(ROOT, f))]
    except (OSError, subprocess.CalledProcessError):
        files = []
        for folder, below, names in os.walk(ROOT):
            below[:] = [d for d in below if d != "build" and not d.startswith(".")]
            files += [os.path.relpath(os.path.join(folder, n), ROOT) for n in names]
    for f in files:
        os.makedirs(os.path.dirname(os.path.join(to, f)), exist_ok=True)
        shutil.copyfile(os.path.join(ROOT, f), os.path.join(to, f))


# ---- judging -----------------------------------------------------------------------------------------------------


class Outcome:
    def __init__(self, wrong, test="", parts=""):
        self.wrong, self.test, self.parts = wrong, test, parts  # wrong None: killed as the table says


def outcome(m, test, verify):
    """test: exit code and output of the program; verify: exit code and failed parts."""
    wrong = []
    code, printed = test
    counted = re.search(r"Checks: (\d+), Failures: (\d+), Errors: (\d+)", printed)
    failed = int(counted[2]) + int(counted[3]) if counted else 0
    if code is None:
        said = "hangs"
    elif code == 0:
        said = "passes"
        wrong.append(f"SURVIVES {m.test}")
    elif code == 1 and failed:
        said = f"{failed} of {counted[1]}" + (" by time" if "timeout expired" in printed else "")
    else:
        said = f"exit code {code}"
        wrong.append(f"{m.test} ended with {code} and no failed check, so it says nothing")
    code, parts = verify
    if code is None:
        wrong.append("bptt verify hangs")
    elif m.parts:
        missing = [p for p in m.parts if p not in parts]
        if code != 1 or missing:
            wrong.append(f"bptt verify ends with {code} and fails in {' '.join(parts) or 'no part'}, "
                         f"but should end with 1 and fail in {' '.join(m.parts)}")
    elif code != 0:
        wrong.append(f"bptt verify ends with {code} and fails in {' '.join(parts) or 'no part'}, but should hold")
    return Outcome("; ".join(wrong) or None, said, " ".join(parts) or NO_PART)


def judge_complaints():
    """Made-up results that must and must not count as killed."""
    some, other = Mutant("some"), Mutant("other")
    some.parts = ["cell"]
    failing, breaking, hanging = (1, "90%: Checks: 10, Failures: 1, Errors: 0"), (1, "no device"), (None, "")
    killed = [(some, failing, (1, ["cell"])), (some, failing, (1, ["cell", "unroll"])), (some, hanging, (1, ["cell"])),
              (other, failing, (0, []))]
    alive = [(some, (0, "100%: Checks: 10, Failures: 0, Errors: 0"), (1, ["cell"])), (some, breaking, (1, ["cell"])),
             (some, (77, ""), (1, ["cell"])), (some, (-11, ""), (1, ["cell"])), (some, failing, (0, [])),
             (some, failing, (1, ["unroll"])), (some, failing, (70, ["cell"])), (some, failing, (None, ["cell"])),
             (other, failing, (1, ["unroll"])), (other, failing, (70, [])), (other, failing, (None, []))]
    return [f"what is killed counts as alive: {case[1:]}" for case in killed if outcome(*case).wrong] + \
           [f"what is alive counts as killed: {case[1:]}" for case in alive if not outcome(*case).wrong]


def slices(mutants):
    """Groups of mutants of one file, the largest first."""
    files = {}
    for m in mutants:
        files.setdefault(m.file, []).append(m)
    groups = [g[i:i + SLICE] for g in files.values() for i in range(0, len(g), SLICE)]
    return sorted(groups, key=len, reverse=True)


def cores():
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def duration(seconds):
    return f"{int(seconds) // 60}m{int(seconds) % 60:02d}s"


class Gate:
    def __init__(self, mutants, folder, brief):
        self.mutants, self.folder = mutants, folder
        self.runner = Runner()
        self.runner.brief = brief
        self.groups = slices(mutants)
        self.outcomes = {}
        self.broken = []  # why nothing can be said at all
        self.lock = threading.Lock()
        self.tests = sorted({m.test for m in mutants})
        self.workers = min(WORKERS, cores(), len(self.groups))
        self.ready = threading.Barrier(self.workers)
        self.start = 0.0

    def baseline(self, tree, number):
        """Nothing planted: all that judges must pass, each on one of the workers."""
        failed = tree.make(self.tests)
        if failed:
            return "the tree does not build as it is:\n" + failed
        if number == 0 and tree.verify()[0] != 0:
            return "bptt verify fails with nothing planted, so it judges nothing"
        for test in self.tests[number::self.workers]:
            code, printed = tree.judge(test)
            if code != 0:
                return f"{test} fails with nothing planted, so it judges nothing:\n{printed}"
        return None

    def work(self, number):
        try:
            tree = Tree(self.runner, os.path.join(self.folder, str(number)))
            wrong = self.baseline(tree, number)
            if wrong:
                self.broken.append(wrong)
            self.ready.wait()
            if number == 0:
                self.start = time.monotonic()
                if not self.broken:
                    print("all that judges passes with nothing planted", flush=True)
            self.ready.wait()
            while not self.broken:
                with self.lock:
                    group = self.groups.pop(0) if self.groups else []
                if not group:
                    return
                for m in group:
                    self.note(m, tree.plant(m))
        except (Stopped, threading.BrokenBarrierError):
            self.ready.abort()
        except Exception as error:  # ours: told by the main thread, which ends the others
            self.broken.append(f"worker {number}: {error!r}")
            self.ready.abort()

    def note(self, m, o):
        with self.lock:
            self.outcomes[m.name] = o
            done, all_of_them = len(self.outcomes), len(self.mutants)
            left = (time.monotonic() - self.start) / done * (all_of_them - done)
            words = f"FAILED: {o.wrong}" if o.wrong else f"{m.test} {o.test}, verify {o.parts}"
            print(f"[{done}/{all_of_them}] {duration(left)} left: {m.name}: {words}", flush=True)

    def run(self):
        threads = [threading.Thread(target=self.work, args=(i,)) for i in range(self.workers)]
        try:
            for t in threads:
                t.start()
            while any(t.is_alive() for t in threads):
                time.sleep(0.1)  # and not join: this thread hears the signals
        finally:
            self.runner.stop()
            self.ready.abort()
            for t in threads:
                t.join()

    def report(self):
        width = [max(len(m.name) for m in self.mutants), max(len(m.test) for m in self.mutants)]
        print(f"\n{'mutant':{width[0]}}  {'test':{width[1]}}  checks that fail  bptt verify fails in")
        for m in self.mutants:
            o = self.outcomes[m.name]
            print(f"{m.name:{width[0]}}  {m.test:{width[1]}}  {o.test:16}  {o.parts}")
        wrong = [m for m in self.mutants if self.outcomes[m.name].wrong]
        for m in wrong:
            print(f"FAILED {m.name}: {self.outcomes[m.name].wrong}")
        print(f"{len(self.mutants) - len(wrong)} passed, {len(wrong)} failed")
        return 1 if wrong else 0


def run_gate(mutants, brief):
    folder = tempfile.mkdtemp(prefix="bptt-mutants-")
    start = time.monotonic()

    heard = [n for n in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP) if signal.getsignal(n) != signal.SIG_IGN]

    def interrupted(number, _):
        for n in heard:
            signal.signal(n, signal.SIG_IGN)  # one is enough; what follows cleans up
        raise KeyboardInterrupt(number)

    for n in heard:
        signal.signal(n, interrupted)
    try:
        gate = Gate(mutants, folder, brief)
        print(f"{len(mutants)} mutants, {gate.workers} at a time, in {folder}", flush=True)
        gate.run()
        if gate.broken:
            print("\n".join(gate.broken), file=sys.stderr)
            print(f"0 passed, {len(mutants)} failed")
            return 1
        code = gate.report()
        print(f"it took {duration(time.monotonic() - start)}", file=sys.stderr)
        return code
    except KeyboardInterrupt as signalled:
        print("mutants: interrupted", file=sys.stderr)
        return 128 + signalled.args[0]
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def main(arguments):
    mutants = read_table()
    wrong = complaints(mutants)
    if arguments == ["--list"]:
        for m in mutants:
            print(f"{m.name:28}  {os.path.basename(m.file):14}  {m.bug}; {m.test}, verify: {' '.join(m.parts) or NO_PART}")
        return 0
    if arguments == ["--check"]:
        wrong += judge_complaints()
        print(*wrong, f"{len(mutants)} mutants, {len(wrong)} complaints", sep="\n")
        return 1 if wrong else 0
    brief = "--brief" in arguments
    share = [re.fullmatch(r"--share=([0-9]{1,3})/([1-9][0-9]{0,2})", a) for a in arguments]
    share = [(int(s[1]), int(s[2])) for s in share if s and int(s[1]) < int(s[2])]
    arguments = [a for a in arguments if a != "--brief" and not (share and a.startswith("--share="))]
    unknown = [a for a in arguments if a not in [m.name for m in mutants]]
    if unknown:
        print(f"mutants.sh: no mutant or option {unknown[0]}; sh tests/mutants.sh --list names them", file=sys.stderr)
        return 64
    mutants = mutants[share[0][0] :: share[0][1]] if share else mutants
    return run_gate([m for m in mutants if m.name in arguments] if arguments else mutants, brief)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
