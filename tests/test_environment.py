"""What is installed, from where it is said: pyproject.toml, requirements.lock, environment.yml, CITATION.cff."""

import re
import shutil
import subprocess
import tomllib
from importlib.metadata import metadata
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from rattler import MatchSpec
from rattler.exceptions import InvalidMatchSpecError

ROOT = Path(__file__).resolve().parents[1]
CARD = {"jupyter-book", "jupyter", "torch", "numpy", "matplotlib", "papermill", "nbval", "ipywidgets"}
PIN = re.compile(r"(?P<name>[a-z0-9]+(?:-[a-z0-9]+)*)==(?P<version>[A-Za-z0-9.]+)")


def declared() -> dict[str, Requirement]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    lines = [
        *project["dependencies"],
        *(line for name, extra in project["optional-dependencies"].items() if name != "bench" for line in extra),
    ]
    return {canonicalize_name(Requirement(line).name): Requirement(line) for line in lines}


def locked() -> dict[str, str]:
    lines = (ROOT / "requirements.lock").read_text().splitlines()
    matches = {line: PIN.fullmatch(line) for line in lines if not line.startswith("#")}
    assert all(matches.values()), [line for line, match in matches.items() if not match]
    return {match["name"]: match["version"] for match in matches.values() if match}


def conda() -> tuple[list[str], list[str]]:
    """Lines of environment.yml for conda and for pip."""
    entries = yaml.safe_load((ROOT / "environment.yml").read_text())["dependencies"]
    specs = [entry for entry in entries if isinstance(entry, str)]
    return specs, [line for entry in entries if isinstance(entry, dict) for line in entry["pip"]]


def test_every_package_of_the_card_is_declared():
    assert set(declared()) >= CARD


def test_jupyter_book_stays_below_2_everywhere():
    pip = {r.name: r for r in map(Requirement, (line for line in conda()[1] if not line.startswith("-")))}
    for requirement in (declared()["jupyter-book"], pip["jupyter-book"]):
        assert not requirement.specifier.contains("2.0.0")
    assert int(locked()["jupyter-book"].split(".")[0]) == 1


def test_the_lock_satisfies_what_is_declared():
    versions = locked()
    for name, requirement in declared().items():
        assert requirement.specifier.contains(versions[name], prereleases=True), (
            f"{requirement} against {versions[name]}"
        )


def test_the_lock_can_be_installed_by_the_oldest_python_that_is_promised():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    oldest = project["requires-python"].removeprefix(">=") + ".0"
    wants = {name: metadata(name).get("Requires-Python") or "" for name in locked()}
    assert [name for name, python in wants.items() if not SpecifierSet(python).contains(oldest)] == []


def test_the_lock_holds_what_builds_the_project():
    for line in tomllib.loads((ROOT / "pyproject.toml").read_text())["build-system"]["requires"]:
        assert Requirement(line).specifier.contains(locked()[Requirement(line).name])


def test_the_lock_is_sorted_and_names_no_place():
    lines = [line for line in (ROOT / "requirements.lock").read_text().splitlines() if not line.startswith("#")]
    assert lines == sorted(lines, key=lambda line: line.split("==")[0])
    assert "://" not in (ROOT / "requirements.lock").read_text()


def test_conda_understands_its_lines():
    for spec in conda()[0]:
        MatchSpec(spec, strict=True)
    with pytest.raises(InvalidMatchSpecError):
        MatchSpec("jupyter-book=1.0.*", strict=True)  # the check can fail


def test_conda_installs_a_python_that_the_project_accepts():
    (python,) = [spec for spec in conda()[0] if spec.startswith("python=")]
    supported = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["requires-python"]
    assert Requirement(f"python{supported}").specifier.contains(python.removeprefix("python="))


def test_pip_understands_the_lines_conda_gives_it():
    for line in conda()[1]:
        option, _, path = line.partition(" ")
        if option in {"-r", "-e"}:
            assert (ROOT / path).exists(), line
        else:
            Requirement(line)


@pytest.mark.skipif(not shutil.which("git"), reason="needs git")
def test_git_does_not_ignore_the_package():
    names = ["lib", *(str(path.relative_to(ROOT)) for path in (ROOT / "lib").rglob("*.py"))]
    done = subprocess.run(["git", "check-ignore", *names], cwd=ROOT, capture_output=True, text=True)
    assert done.stdout == ""


def test_the_citation_names_the_paper_and_its_two_authors():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    (paper,) = [reference for reference in citation["references"] if reference["type"] == "article"]
    assert [author["family-names"] for author in paper["authors"]] == ["Fanthomme", "Monasson"]
    assert [set(author) for author in citation["authors"]] == [{"name"}]  # an entity, not a person
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    assert citation["version"] == version


def test_the_citation_file_obeys_its_format():
    """What version 1.2.0 of the Citation File Format asks of the parts that are used here."""
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    optional = {"abstract", "type", "version", "license", "keywords", "references", "date-released", "repository-code"}
    assert (
        {"cff-version", "message", "title", "authors"}
        <= citation.keys()
        <= {
            *("cff-version", "message", "title", "authors"),
            *optional,
        }
    )
    assert citation["cff-version"] == "1.2.0" and citation["type"] in ("software", "dataset")
    assert set(citation["license"]) == {"BSD-3-Clause", "CC-BY-4.0"}
    texts = [citation[key] for key in ("message", "title", "abstract", "version")] + citation["keywords"]
    assert all(isinstance(text, str) and text.strip() for text in texts)
    assert len(set(citation["keywords"])) == len(citation["keywords"])
    for reference in citation["references"]:
        assert {"type", "title", "authors"} <= reference.keys()
        assert re.fullmatch(r"10\.\d{4,9}/\S+", reference["doi"])
        assert {type(reference[key]) for key in ("year", "start", "end")} == {int} and isinstance(
            reference["issue"], str
        )
        for identifier in reference["identifiers"]:
            assert {"type", "value"} <= identifier.keys() <= {"type", "value", "description"}
            assert identifier["type"] in ("doi", "url", "swh", "other")
