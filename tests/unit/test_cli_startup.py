"""What a person sees of a start."""

import io
from pathlib import Path

from rich.console import Console

from services.cli.plan import Options, make_plan
from services.cli.startup import Startup, describe_failure
from services.cli.state import ClusterState, Failure, Recorded, write_state


def test_ready_services_show_how_long_they_took_and_others_what_they_wait_for(tmp_path: Path) -> None:
    startup = Startup(make_plan(Options(home=tmp_path)))
    startup.services[0].ready_after = 0.31
    startup.services[1].detail = "lexical: building"
    console = Console(file=io.StringIO(), width=120)

    console.print(startup)

    assert isinstance(console.file, io.StringIO)
    lines = console.file.getvalue().splitlines()
    assert len(lines) == 6
    assert "✓" in lines[0]
    assert "redis://127.0.0.1:6380" in lines[0]
    assert "ready after 0.3 s" in lines[0]
    assert "lexical: building" in lines[1]


def test_a_failure_is_told_with_the_last_lines_of_the_log(tmp_path: Path) -> None:
    plan = make_plan(Options(home=tmp_path))
    plan.log_file("model").parent.mkdir()
    plan.log_file("model").write_text('{"event": "port_taken", "level": "error", "port": 8082}\nbye\n')
    write_state(ClusterState(plan=plan, failure=Failure(service="model", returncode=1)))

    said = describe_failure(plan).splitlines()

    assert said[0].startswith("model died (exit code 1); the last lines of ")
    assert said[1:] == ["  ERROR port_taken port=8082", "  bye"]


def test_an_end_without_a_culprit_is_told_from_the_supervisors_log(tmp_path: Path) -> None:
    plan = make_plan(Options(home=tmp_path))
    plan.log_file("supervisor").parent.mkdir()
    plan.log_file("supervisor").write_text("SIGTERM received\n")

    assert describe_failure(plan) == "the cluster was ended while it started\n  SIGTERM received"


def test_a_process_id_that_is_nobodys_is_no_process() -> None:
    assert Recorded(pid=2**22 + 1, started_at=0).process() is None
