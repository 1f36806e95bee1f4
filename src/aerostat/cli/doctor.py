"""`aerostat doctor`: checks this machine, and says for each thing that is wrong what to do."""

from aerostat.cli import checks
from aerostat.cli.command import Command


def run(command: Command) -> int:
    """Show every check; 1 if one fails."""
    if command.options.audit:
        from aerostat.cli import audit

        return audit.run(command)
    found = checks.every(command.settings)
    console = command.console
    if console.as_json:
        fields = ("name", "verdict", "text", "advice")
        console.json({"checks": [{f: getattr(c, f) for f in fields} for c in found]})
    else:
        for check in found:
            console.say(f"  {check.verdict:<5} {check.name:<22} {check.text}")
            if check.advice and check.verdict != checks.OK:
                console.say(f"        -> {check.advice}")
        bad = [c for c in found if c.verdict != checks.OK]
        console.say(f"{len(found)} checks, {len(bad)} to look at." if bad else "All is well.")
    return 1 if any(c.verdict == checks.FAIL for c in found) else 0
