"""The command line: commands and their options."""

import argparse
from pathlib import Path

from aerostat.assembly.roles import CONTROL, GROUPS, NODE

ROLE_NAMES = (*GROUPS, *CONTROL, *NODE)

# command -> (module below aerostat.cli, what it does, whether it knows --json)
COMMANDS = {
    "up": ("up", "start the cloud (or find it running) and wait until it is healthy", True),
    "down": ("down", "stop the cloud's processes; guests and their networks go on", False),
    "demo": ("demo.run", "start the cloud, boot a server in it and log in to it", False),
    "status": ("status", "show processes, services and guests", True),
    "openrc": ("openrc", "print the variables that clients read: eval $(aerostat openrc)", False),
    "logs": ("logs", "show what the processes wrote", False),
    "doctor": ("doctor", "check this machine; --audit compares the cloud's books with it", True),
    "lab": ("lab", "several hosts on this machine: lab up N | exec HOST CMD | down", False),
    "run": ("foreground", "run roles in the foreground, e.g. `run control`", False),
    "node": ("node", "hosts join (token, join), are emptied, and leave", False),
    "db": ("database", "bring the tables of a database server to this release", False),
    "trace": ("trace", "show one operation, by its request id, through all processes", True),
    "config": ("configuration", "check the settings, and what they point at", True),
    "reset": ("reset", "stop everything, guests too, and remove all state", False),
    "keystone": ("keystone", "rotate the keys of the identity service, or try a mapping", False),
    "glance": ("glance", "load, unload or export metadata definitions", False),
    "sim": ("sim", "simulate whole clouds from seeds, with faults, and check what is left", True),
    "test": ("quality", "run every check and every test", False),
    "bench": ("bench", "run the benchmarks of bench/", False),
}
OPTIONS_OF_PYTEST = ("test", "bench")


def parse(argv: list[str]) -> argparse.Namespace:
    """Return the options; exits with status 2 and the usage when they are wrong."""
    parser = _parser()
    rest: list[str] = []
    if (name := _command_of(argv)) in OPTIONS_OF_PYTEST:
        at = argv.index(name) + 1
        argv, rest = argv[:at], argv[at:]
    options = parser.parse_args(argv)
    if options.command in (None, "help"):
        parser.print_help()
        parser.exit(0)
    options.module = COMMANDS[options.command][0]
    options.rest = rest
    return options


def _command_of(argv: list[str]) -> str:
    return next((word for word in argv if word in COMMANDS), "")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="aerostat", description="A whole OpenStack cloud that is one program."
    )
    where = argparse.ArgumentParser(add_help=False)
    help_text = "where the cloud's state lives (default: $AEROSTAT_STATE_DIR, /var/lib/aerostat)"
    where.add_argument("--state-dir", type=Path, default=argparse.SUPPRESS, help=help_text)
    parser.add_argument("--state-dir", type=Path, default=None, help=help_text)
    below = parser.add_subparsers(dest="command", metavar="COMMAND")
    commands: dict[str, argparse.ArgumentParser] = {}
    for name, (_, text, knows_json) in COMMANDS.items():
        command = below.add_parser(name, help=text, description=text, parents=[where])
        if knows_json:
            command.add_argument("--json", action="store_true", help="answer in JSON, for scripts")
        commands[name] = command
    below.add_parser("help", help="show this")
    _options(commands)
    return parser


def _options(commands: dict[str, argparse.ArgumentParser]) -> None:
    commands["demo"].add_argument("--clean", action="store_true", help="remove what demo made")
    commands["openrc"].add_argument("who", nargs="?", choices=["admin", "demo"], default="admin")
    commands["doctor"].add_argument(
        "--audit", action="store_true", help="compare APIs, placement, hypervisor, network, files"
    )
    logs = commands["logs"]
    logs.add_argument("process", nargs="?", choices=["control", "node"])
    logs.add_argument("-f", "--follow", action="store_true", help="go on as more is written")
    logs.add_argument("-n", "--lines", type=int, default=40, help="last lines to show (40)")
    _keystone(commands["keystone"])
    _glance(commands["glance"])
    sim = commands["sim"]
    sim.add_argument("--seeds", type=int, default=100, help="how many seeds to run (100)")
    sim.add_argument("--first", type=int, default=1, help="the first of them (1)")
    sim.add_argument("--seed", type=int, help="run this one seed")
    sim.add_argument("--trace", action="store_true", help="print all that happens")
    sim.add_argument("--jobs", type=int, default=1, help="processes that share the seeds (1)")
    _lab(commands["lab"])
    _node(commands["node"])
    commands["run"].add_argument("roles", metavar="ROLE,...", help=", ".join(ROLE_NAMES))
    commands["trace"].add_argument("request_id", help="the x-openstack-request-id of an answer")
    commands["trace"].add_argument("--log", action="append", help="a log file (default: all here)")
    commands["config"].add_argument("action", choices=["check"])
    database = commands["db"]
    database.add_argument("action", choices=["migrate", "version"])
    database.add_argument(
        "--contract",
        action="store_true",
        help="also take away what only the release before needed, once none of it runs",
    )
    commands["reset"].add_argument("--yes", action="store_true", help="do not ask")


def _keystone(keystone: argparse.ArgumentParser) -> None:
    keystone.add_argument(
        "action",
        choices=[
            *("token-rotate", "receipt-rotate", "credential-rotate", "credential-migrate"),
            "mapping-engine",
        ],
        help="rotate keys, seal all credentials with the present key, or try a mapping",
    )
    keystone.add_argument("--rules", type=Path, help="mapping-engine: JSON rules, or a mapping")
    keystone.add_argument("--input", type=Path, help="mapping-engine: lines of `name: value`")
    keystone.add_argument("--prefix", default="", help="mapping-engine: names that count begin so")
    keystone.add_argument("--schema-version", default="", help="mapping-engine: 1.0, 2.0 or 3.0")


def _glance(glance: argparse.ArgumentParser) -> None:
    glance.add_argument("noun", choices=["metadefs"], help="the metadata definition catalogue")
    glance.add_argument("action", choices=["load", "unload", "export"])
    glance.add_argument(
        "path", nargs="?", type=Path, help="a JSON file or a folder of them (metadata_source_path)"
    )
    for name, text in (
        ("--merge", "load: add to namespaces that are there what they have not"),
        ("--prefer_new", "with --merge: files win over definitions that are there"),
        ("--overwrite", "with --merge: namespaces that are there are deleted first"),
    ):
        glance.add_argument(name, action="store_true", help=text)


def _node(node: argparse.ArgumentParser) -> None:
    verbs = node.add_subparsers(dest="verb", metavar="VERB", required=True)
    made = verbs.add_parser("token", help="print what lets a new host join (a secret)")
    made.add_argument("host", help="the name the host will have")
    made.add_argument("address", help="the address at which the other hosts reach it")
    joining = verbs.add_parser("join", help="make this machine a host of a cloud, and start it")
    joining.add_argument("token", help="what `node token` printed on a controller")
    for verb, text in (
        ("drain", "let a host take no more servers and move those that it has"),
        ("evacuate", "build the servers of a dead host again on others"),
        ("remove", "take a host without servers out of the cloud"),
    ):
        verbs.add_parser(verb, help=text).add_argument("host")


def _lab(lab: argparse.ArgumentParser) -> None:
    verbs = lab.add_subparsers(dest="verb", metavar="VERB", required=True)
    up = verbs.add_parser("up", help="start the control plane and N hosts, or those that are off")
    up.add_argument("hosts", type=int, metavar="N")
    up.add_argument("--share", type=int, default=0, help="so many hosts share their disks (0)")
    inside = verbs.add_parser("exec", help="run a command inside a host")
    inside.add_argument("host", type=int, metavar="HOST", help="its number, from 1")
    inside.add_argument("words", nargs=argparse.REMAINDER, metavar="CMD")
    kill = verbs.add_parser("kill", help="let a host lose its power: kill -9 all that is in it")
    kill.add_argument("host", type=int, metavar="HOST")
    verbs.add_parser("down", help="stop everything and remove all state")
