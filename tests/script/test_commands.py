"""Every command reaches its bash as it was typed, ends alone and is accounted for."""

from __future__ import annotations

import base64

from hyperpod_eks_issue_report.script.lines import TaskStarted

from .conftest import Node

AWKWARD: list[tuple[str, bytes, int]] = [
    ("echo a; echo b", b"a\nb\n", 0),
    ('echo "it\'s"', b"it's\n", 0),
    ("HOME=/there; echo $HOME '$HOME'", b"/there $HOME\n", 0),
    ("printf '%s|' 'l1\nl2'\necho end", b"l1\nl2|end\n", 0),
    ("echo 'é ☃'", "é ☃\n".encode(), 0),
    ("echo $(echo x) `echo y`", b"x y\n", 0),
    ("exit 3", b"", 3),
    ("exit 124", b"", 124),
    ("kill -9 $$", b"", 137),
    ("false", b"", 1),
    ("printf 'no newline'", b"no newline\n", 0),
    ("exec >&- 2>&-; echo lost; exit 5", b"", 5),
    ("hpir_emit() { :; }; hpir_close() { :; }; exit 6", b"", 6),
    ("cat; echo out; echo err >&2", b"out\nerr\n", 0),
    ("echo '@hpir 1 0 end lines=0 bytes=0 rc=0'", b"@hpir 1 0 end lines=0 bytes=0 rc=0\n", 0),
    ("echo a\\\\b\\ c\t'\t'%s !x {a,b}", b"a\\b c \t%s !x a b\n", 0),
    ("echo after", b"after\n", 0),
]


def test_commands_arrive_as_typed(node: Node) -> None:
    outcome = node.run_commands([command for command, _, _ in AWKWARD])
    assert outcome.returncode == 0
    assert outcome.lines.done
    assert not outcome.lines.noise
    assert outcome.outputs() == [output for _, output, _ in AWKWARD]
    assert [r.rc for r in outcome.finished()] == [rc for _, _, rc in AWKWARD]
    assert not any(r.timeout for r in outcome.finished())


def test_what_is_no_bash_fails_alone(node: Node) -> None:
    outcome = node.run_commands(['echo "a', "-n", "--version", "a; b", "echo fine"])
    unbalanced, dash, dashes, unknown, fine = outcome.outputs()
    assert b"unexpected EOF" in unbalanced
    assert b"-n: command not found" in dash
    assert b"--version: command not found" in dashes
    assert b"a: command not found" in unknown
    assert b"b: command not found" in unknown
    assert fine == b"fine\n"
    codes = [r.rc for r in outcome.finished()]
    assert codes[0] != 0
    assert codes[1:] == [127, 127, 127, 0]
    assert outcome.lines.done


def test_records_number_the_tasks_and_fit_the_table(node: Node) -> None:
    outcome = node.run_commands(["true", "exit 3"])
    started = [(r.index, r.id) for r in outcome.records if isinstance(r, TaskStarted)]
    assert started == [(1, "command_01_true"), (2, "command_02_exit_3")]
    finished = outcome.finished()
    assert [(r.index, r.id) for r in finished] == started
    members = outcome.members()
    rows = [line.split("\t") for line in members["commands.tsv"].decode().splitlines()[1:]]
    assert [[row[0], row[2], row[3], row[4], row[5]] for row in rows] == [
        [r.id, str(r.rc), str(r.ms), str(r.bytes), str(int(r.timeout))] for r in finished
    ]
    assert [len(members[row[1]]) for row in rows] == [r.bytes for r in finished]
    assert members["command_02_exit_3.txt"].endswith(b"\n# exit code: 3\n")
    assert members["command_02_exit_3.txt"].startswith(b"# command: exit\\ 3\n# started: ")


def test_ten_megabytes_go_into_the_tarball_and_not_to_stdout(node: Node) -> None:
    outcome = node.run_commands(["head -c 10000000 /dev/zero | tr '\\0' x", "echo after"])
    big, after = outcome.outputs()
    assert big == b"x" * 10_000_000 + b"\n"
    assert after == b"after\n"
    assert len(outcome.stdout) < 4096


def test_task_out_of_time_is_recorded_and_the_next_one_runs(node: Node) -> None:
    outcome = node.run_commands(["echo before; sleep 3600", "echo after"], timeout=1)
    late, after = outcome.finished()
    assert (late.rc, late.timeout) == (124, True)
    assert (after.rc, after.timeout) == (0, False)
    assert outcome.outputs() == [b"before\n", b"after\n"]
    assert outcome.members()["commands.tsv"].decode().splitlines()[1].endswith("\t1")
    assert outcome.lines.done


def test_home_of_a_node_without_one(node: Node) -> None:
    assert node.run_commands(["echo $HOME"]).outputs() == [b"/root\n"]


def test_home_of_a_node_with_one(node: Node) -> None:
    assert node.run_commands(["echo $HOME"], HOME="/srv").outputs() == [b"/srv\n"]


def test_tasks_do_not_see_the_collector_s_state(node: Node) -> None:
    (output,) = node.run_commands(["env | grep ^HPIR_; : 2>/dev/null <&3 || echo none"]).outputs()
    assert b"HPIR_" not in output
    assert output.endswith(b"none\n")


def test_no_process_and_no_output_shows_the_signature(node: Node) -> None:
    look = "cat /proc/[0-9]*/cmdline /proc/[0-9]*/environ 2>/dev/null | tr '\\0' '\\n'; true"
    outcome = node.run_commands([look, look])
    signature = node.store.signature.encode()
    # Base64 of the signature, as the bootstrap's argv has it, at each of the three alignments.
    shapes = [signature] + [base64.b64encode(b"-" * n + signature)[4:-4] for n in range(3)]
    bootstrap = node.argv()[2].encode()
    assert any(shape in bootstrap for shape in shapes)
    seen = outcome.outputs()
    assert all(b"collect.sh" in output for output in seen)
    for text in (*seen, outcome.stdout, outcome.stderr, node.store.script):
        assert not any(shape in text for shape in shapes)
