"""Add up the JUnit files of all ctest runs: summary.py DIRECTORY [BROKEN …]

Each further argument names something that broke before tests could run; it counts as a failure.
A test may be skipped only when it cannot run on this machine at all, and must print a line that
begins with "impossible here: " and says why. Any other skip counts as a failure.
"""

import pathlib
import sys
import xml.etree.ElementTree

IMPOSSIBLE = "impossible here: "


def reason(case):
    """Why this test says it cannot run here; None when it says nothing."""
    output = case.findtext("system-out") or ""
    for line in output.splitlines():
        if line.startswith(IMPOSSIBLE):
            return line.strip()
    return None


def judge(case):
    """'passed', 'failed' or 'skipped', and a remark for people."""
    status = case.get("status")
    if status == "run":
        return "passed", None
    if status in ("notrun", "disabled") or case.find("skipped") is not None:
        why = reason(case)
        return ("skipped", why) if why else ("failed", "skipped without a reason that holds here")
    failure = case.find("failure")
    return "failed", failure.get("message") if failure is not None else status


def main(directory, broken):
    counts = {"passed": 0, "failed": len(broken), "skipped": 0}
    remarks = [("failed", name, "see above") for name in broken]
    for path in sorted(pathlib.Path(directory).glob("*.xml")):
        ran = 0
        for case in xml.etree.ElementTree.parse(path).getroot().iter("testcase"):
            verdict, remark = judge(case)
            counts[verdict] += 1
            ran += 1
            if verdict != "passed":
                remarks.append((verdict, f"{path.stem}: {case.get('name')}", remark))
        print(f"{path.stem}: {ran} tests")
    for verdict, name, remark in remarks:
        print(f"{verdict}: {name}" + (f" ({remark})" if remark else ""))
    if counts["passed"] + counts["failed"] == 0:
        print("nothing ran")
    line = f"{counts['passed']} passed, {counts['failed']} failed"
    print(line + (f", {counts['skipped']} skipped" if counts["skipped"] else ""))
    return 1 if counts["failed"] or not counts["passed"] else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2:]))
