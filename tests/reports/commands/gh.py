"""A stand-in for GitHub's command line: keeps issues in a file, knows as much of `gh` as is used, and refuses everything else."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

FOLDER = Path(os.environ["GH_STANDIN"])
STATE = FOLDER / "state.json"
LABELS = ("bug", "fuzz")
KNOWN = {
    "auth status": {"--hostname"},
    "issue list": {"--repo", "--state", "--search", "--limit", "--json"},
    "issue create": {"--repo", "--title", "--label", "--body-file"},
    "issue comment": {"--repo", "--body-file"},
}


def main(arguments: list[str]) -> str:
    """Do what is asked for, and return what is printed."""
    state = json.loads(STATE.read_text(encoding="utf-8"))
    positional, options = parsed(arguments)
    with (FOLDER / "calls.jsonl").open("a", encoding="utf-8") as file:
        file.write(json.dumps({"arguments": arguments, "input": sys.stdin.read()}) + "\n")
    name = " ".join(positional[:2])
    if state["fails"].get(name, 1) <= 0:
        sys.exit(f"\nHTTP 502: Bad Gateway ({name})")
    state["fails"] = {key: left - (key == name) for key, left in state["fails"].items()}
    answer = ANSWERS[name](state, positional[2:], options)
    STATE.write_text(json.dumps(state), encoding="utf-8")
    return answer


def parsed(arguments: list[str]) -> tuple[list[str], dict[str, list[str]]]:
    """Positional arguments, and options with their values, in which nothing is unknown."""
    rest, positional, options = list(arguments), list[str](), dict[str, list[str]]()
    while rest:
        part = rest.pop(0)
        if not part.startswith("-"):
            positional.append(part)
        elif part in KNOWN.get(" ".join(positional[:2]), ()) and rest:
            options.setdefault(part, []).append(rest.pop(0))
        else:
            sys.exit(f"unknown flag: {part}")
    return positional, options


def listed(state: dict[str, Any], _: list[str], options: dict[str, list[str]]) -> str:
    """The open issues that the search finds; like GitHub's it knows words, not marks."""
    word, where = options["--search"][0].split()
    if where != "in:body" or options["--state"] != ["open"]:
        sys.exit("this search is not known")
    fields = options["--json"][0].split(",")
    found = [issue for issue in state["issues"] if word in issue["body"] and not issue["closed"] and [issue["repo"]] == options["--repo"]]
    return json.dumps([{field: issue[field] for field in fields} for issue in found[: int(options["--limit"][0])]])


def created(state: dict[str, Any], _: list[str], options: dict[str, list[str]]) -> str:
    """A new issue."""
    if missing := [label for label in options.get("--label", []) if label not in LABELS]:
        sys.exit(f"could not add label: '{missing[0]}' not found")
    number = len(state["issues"]) + 1
    (repo,), (title,) = options["--repo"], options["--title"]
    issue = {"number": number, "url": f"https://github.com/{repo}/issues/{number}", "title": title, "repo": repo, "closed": False}
    state["issues"].append(issue | {"body": text(options), "comments": [], "labels": options.get("--label", [])})
    return f"{issue['url']}\n"


def commented(state: dict[str, Any], positional: list[str], options: dict[str, list[str]]) -> str:
    """A new comment."""
    (issue,) = [issue for issue in state["issues"] if str(issue["number"]) == positional[0]]
    issue["comments"].append({"body": text(options)})
    return f"{issue['url']}#issuecomment-{len(issue['comments'])}\n"


def text(options: dict[str, list[str]]) -> str:
    """What is in the body file."""
    (file,) = options["--body-file"]
    return Path(file).read_text(encoding="utf-8")


def logged_in(state: dict[str, Any], _: list[str], options: dict[str, list[str]]) -> str:
    """Whether somebody is."""
    if state["host"] not in options["--hostname"]:
        sys.exit("You are not logged into any GitHub hosts. To log in, run: gh auth login")
    return ""


ANSWERS = {"auth status": logged_in, "issue list": listed, "issue create": created, "issue comment": commented}

if __name__ == "__main__":
    sys.stdout.write(main(sys.argv[1:]))
