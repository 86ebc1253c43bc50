import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from pydantic import ValidationError

from servekit.errors import SpecError
from servekit.spec import Range, Spec, load_spec

WriteSpec = Callable[[str], Path]


@pytest.fixture
def write_spec(tmp_path: Path) -> WriteSpec:
    def write(text: str) -> Path:
        file = tmp_path / "servekit.yaml"
        file.write_text(text, encoding="utf-8")
        return file

    return write


@pytest.fixture
def load(write_spec: WriteSpec) -> Callable[[str], Spec]:
    return lambda text: load_spec(write_spec(text))


Load = Callable[[str], Spec]


def test_a_spec_needs_nothing_but_a_predictor(load: Load) -> None:
    spec = load("predictor: predict.py:Predictor")

    assert (spec.predictor, spec.image, spec.serve.workers) == ("predict.py:Predictor", None, Range(1, 1))


def test_a_folder_is_read_as_the_servekit_yaml_in_it(write_spec: WriteSpec) -> None:
    file = write_spec("predictor: predict.py:Predictor")

    assert load_spec(file.parent).path == file


def test_the_root_is_the_absolute_folder_of_the_file(write_spec: WriteSpec, monkeypatch: pytest.MonkeyPatch) -> None:
    file = write_spec("predictor: predict.py:Predictor")
    monkeypatch.chdir(file.parent)

    assert load_spec(Path("servekit.yaml")).root == file.parent


@pytest.mark.parametrize("reference", ["predict.py:Predictor", "src/model.py:run", "package.module:Predictor"])
def test_a_predictor_is_named_by_file_or_module(load: Load, reference: str) -> None:
    assert load(f"predictor: {reference}").predictor == reference


def test_durations_become_seconds_and_sizes_bytes(load: Load) -> None:
    serve = load(
        "predictor: a.py:P\nserve: {timeout: 10m, cancel_grace: 500ms, queue: {timeout: 30}, max_body: 512MB}"
    ).serve

    assert (serve.timeout, serve.cancel_grace, serve.queue.timeout, serve.max_body) == (600, 0.5, 30, 512_000_000)


def test_concurrency_may_be_a_range_with_a_target(load: Load) -> None:
    serve = load("predictor: a.py:P\nserve: {concurrency: {min: 2, max: 8}, target_latency: 200ms}").serve

    assert (serve.concurrency, serve.target_latency) == (Range(2, 8), 0.2)


def test_a_timeout_of_null_is_no_timeout(load: Load) -> None:
    assert load("predictor: a.py:P\nserve: {timeout: null}").serve.timeout is None


def test_a_section_without_lines_has_its_defaults(load: Load) -> None:
    assert load("predictor: a.py:P\nserve:\n  queue:\nbuild:\n").serve.queue.max == 100


def test_numbers_stay_as_written_where_text_is_wanted(load: Load) -> None:
    build = load(
        "predictor: a.py:P\nbuild:\n  python_version: 3.12\n  gpu: true\n  cuda: 12.80\n"
        "  environment: {VERSION: 1.0, DEBUG: yes}"
    ).build

    assert (build.python_version, build.cuda, build.environment) == (
        "3.12",
        "12.80",
        {"VERSION": "1.0", "DEBUG": "yes"},
    )


def test_python_310_is_not_mistaken_for_python_31(load: Load) -> None:
    with pytest.raises(SpecError, match=r'build\.python_version is "3\.10"; supported are 3\.11 to 3\.14'):
        load("predictor: a.py:P\nbuild:\n  python_version: 3.10")


def test_a_spec_cannot_be_changed(load: Load) -> None:
    spec = load("predictor: a.py:P")

    with pytest.raises(ValidationError, match="frozen"):
        setattr(spec, "image", "other")  # noqa: B010 the type checkers forbid what is tried here


def test_weights_are_a_path_or_a_source_with_a_target(load: Load) -> None:
    weights = load("predictor: a.py:P\nweights:\n- models/a.bin\n- {source: 'hf://o/r/f@v1', target: b}\n").weights

    assert [(entry.source, entry.target, entry.is_remote) for entry in weights] == [
        ("models/a.bin", "models/a.bin", False),
        ("hf://o/r/f@v1", "b", True),
    ]


def test_a_command_is_a_text_or_a_section_with_secrets(load: Load) -> None:
    run = load(
        "predictor: a.py:P\nbuild:\n  run:\n  - one\n  - {command: two, secrets: {pip: /etc/pip.conf}}"
    ).build.run

    assert [(entry.command, entry.secrets) for entry in run] == [("one", {}), ("two", {"pip": "/etc/pip.conf"})]


@pytest.mark.parametrize("version", ["12.6", "12.6.3-cudnn-runtime", "11.8-cudnn8-devel", "12.3.2-cudnn9-runtime"])
def test_cuda_is_named_as_its_images_are(load: Load, version: str) -> None:
    assert load(f'predictor: a.py:P\nbuild: {{gpu: true, cuda: "{version}"}}').build.cuda == version


def test_a_fault_names_file_line_field_expectation_and_remedy(load: Load) -> None:
    with pytest.raises(SpecError) as caught:
        load('predictor: a.py:P\n\nbuild:\n  # old\n  gpu: false\n\n  python_version: "3.7"\n')

    assert str(caught.value) == (
        'servekit.yaml:7: build.python_version is "3.7"; supported are 3.11 to 3.14.\n'
        '  Set it to "3.12", or remove the line to get the default.'
    )


def test_all_faults_are_told_at_once_in_the_order_of_lines(load: Load) -> None:
    with pytest.raises(SpecError) as caught:
        load(
            "predictor: predict.py\nbuild:\n  python_packages: torch\n  cuda: 12.4\n  run: [ok, 5]\n"
            "serve:\n  queue: {max: -1}\n  queue: {max: 2}\n  isolation: proces\n  gpu: 1\n"
        )

    assert re.findall(r"^servekit\.yaml:(\d+):", str(caught.value), re.MULTILINE) == [*"13457", "8", "9", "10"]


CASES = {
    "a command that is a number": (
        "predictor: a.py:P\nbuild: {run: [5]}",
        r"build\.run\[0\] is 5; it must be a command, or a section with command and secrets",
    ),
    "a secret at a relative path": (
        "predictor: a.py:P\nbuild: {run: [{command: a, secrets: {b: c}}]}",
        r"build\.run\[0\]\.secrets\.b is \"c\"; a path in the image begins with a slash",
    ),
    "a secret with a strange id": (
        "predictor: a.py:P\nbuild: {run: [{command: a, secrets: {'b,c': /d}}]}",
        "the id of a secret has letters",
    ),
    "a missing predictor": (
        "image: x",
        r"servekit\.yaml:1: predictor is missing; .*\n.*predictor: predict\.py:Predictor",
    ),
    "an empty file": ("", r"predictor is missing"),
    "a misspelt key": ("predictr: a.py:P", r':1: predictr is not a known field; did you mean "predictor"\?'),
    "a misspelt key of a section": (
        "predictor: a.py:P\nserve:\n  queue:\n    mxa: 3",
        r':4: serve\.queue\.mxa is not a known field; did you mean "serve\.queue\.max"\?',
    ),
    "a key in the wrong section": ("predictor: a.py:P\nworkers: 2", r'did you mean "serve\.workers"\?'),
    "a key that is like no other": (
        "predictor: a.py:P\nzzz: 2",
        r"zzz is not a known field\.\n  Fields of the spec are",
    ),
    "a predictor without a class": ("predictor: predict.py", r'is "predict\.py"; .*\n.*"predict\.py:Predictor"'),
    "text for a number": (
        'predictor: a.py:P\nserve: {port: "2"}',
        r'serve\.port is "2"; it must be a whole number',
    ),
    "a fraction for a whole number": (
        "predictor: a.py:P\nserve: {workers: 1.5}",
        r"is 1\.5; it must be a whole number",
    ),
    "a number for a truth": ("predictor: a.py:P\nbuild: {gpu: 1}", r"build\.gpu is 1; it must be true or false"),
    "a number for text": ("predictor: 5", r"predictor is 5; it must be text"),
    "text for a list": ("predictor: a.py:P\nbuild: {run: ls}", r'build\.run is "ls"; it must be a list'),
    "a list for a section": ("predictor: a.py:P\nserve: [1]", r"serve is \[1\]; it must be a section"),
    "a list for the whole file": ("- a", r"the file is \[.a.\]; it must be a section"),
    "an item of the wrong kind": ("predictor: a.py:P\nbuild:\n  run:\n  - a\n  - [b]", r":5: build\.run\[1\] is"),
    "a number out of bounds": ("predictor: a.py:P\nserve: {port: 70000}", r"is 70000; it must be at most 65535"),
    "a timeout of zero": ("predictor: a.py:P\nserve: {timeout: 0}", r"is 0; it must be more than 0"),
    "an ageing that goes back": (
        "predictor: a.py:P\nserve: {queue: {ageing: -1}}",
        r"serve\.queue\.ageing is -1; a duration is .*\n.*\"30s\"",
    ),
    "an ageing at once": (
        "predictor: a.py:P\nserve: {queue: {ageing: 0s}}",
        r"serve\.queue\.ageing is \"0s\"; it must be more than 0",
    ),
    "a caller that may have nothing": (
        "predictor: a.py:P\nserve: {caller: {max: 0}}",
        r"serve\.caller\.max is 0; it must be at least 1",
    ),
    "a header with blanks": (
        "predictor: a.py:P\nserve: {caller: {header: X API Key}}",
        r"serve\.caller\.header is \"X API Key\"; this cannot be the name of a header(.|\n)*\"X-API-Key\"",
    ),
    "a header with its colon": (
        "predictor: a.py:P\nserve: {caller: {header: 'X-API-Key:'}}",
        r"serve\.caller\.header is \"X-API-Key:\"; this cannot be the name of a header",
    ),
    "no header": ("predictor: a.py:P\nserve: {caller: {header: ''}}", r"serve\.caller\.header is \"\"; this cannot"),
    "an unknown choice": (
        "predictor: a.py:P\nserve: {log_level: warn}",
        r'it must be debug, info, warning or error \(did you mean "warning"\?\)',
    ),
    "a bad duration": ("predictor: a.py:P\nserve: {timeout: 5 min}", r'is "5 min"; a duration is .*\n.*"30s"'),
    "a bad size": ("predictor: a.py:P\nserve: {max_body: 5 apples}", r'is "5 apples"; a size is .*\n.*"512MB"'),
    "dependencies in two places": (
        "predictor: a.py:P\nbuild:\n  python_packages: [a]\n  python_requirements: r.txt",
        r"build\.python_requirements is set as well, and dependencies come from one place",
    ),
    "a path that leaves the project": (
        "predictor: a.py:P\nbuild: {python_requirements: ../r.txt}",
        r"relative to the folder of the spec and stays inside it",
    ),
    "a shell command as system package": (
        'predictor: a.py:P\nbuild: {system_packages: ["ffmpeg; rm -rf /"]}',
        r"build\.system_packages\[0\] is .*; a system package is the name of one Debian package",
    ),
    "an empty command": ('predictor: a.py:P\nbuild: {run: [" "]}', r"build\.run\[0\] is .*it may not be empty"),
    "cuda without gpu": ("predictor: a.py:P\nbuild: {cuda: 12.4}", r"CUDA needs build\.gpu to be true"),
    "a cuda that is no version": (
        "predictor: a.py:P\nbuild: {gpu: true, cuda: 12}",
        r'build\.cuda is "12"; it is the version of an nvidia/cuda image(.|\n)*"12\.6-cudnn-devel"',
    ),
    "cuda on another image": (
        "predictor: a.py:P\nbuild: {gpu: true, cuda: 12.6, base_image: 'a:1'}",
        r"build\.base_image is .*build\.cuda is set, and that is an image to build on as well",
    ),
    "an image whose name is a command": (
        "predictor: a.py:P\nbuild: {base_image: 'a\\nRUN b'}",
        r"build\.base_image is .*; an image is named like registry/name:tag",
    ),
    "an index that is no URL": ("predictor: a.py:P\nbuild: {index: pypi}", r'is "pypi"; an index is a URL'),
    "an index with a password": (
        "predictor: a.py:P\nbuild: {index: 'https://me:hunter2@host/simple'}",
        r'is "https://\*\*\*@host/simple"; a password in a URL(.|\n)*--secret id=netrc,src=',
    ),
    "a Dockerfile beside what it replaces": (
        "predictor: a.py:P\nbuild: {run: [ls], dockerfile: Dockerfile}",
        r"build\.dockerfile is .*; build\.run is set, and nothing but that Dockerfile decides",
    ),
    "a variable of two lines": (
        'predictor: a.py:P\nbuild: {environment: {A: "x\\ny"}}',
        r"build\.environment\.A is .*the value of a variable is one line",
    ),
    "weights that are fetched to nowhere": (
        "predictor: a.py:P\nweights: ['hf://a/b/c']",
        r"weights\[0\] is .*what is fetched needs a place in the project(.|\n)*target: path",
    ),
    "weights from an unknown place": (
        "predictor: a.py:P\nweights: [{source: 'ftp://a/b', target: b}]",
        r"weights\[0\]\.source is .*weights come from a path or from https://",
    ),
    "a repository without a file": (
        "predictor: a.py:P\nweights: [{source: 'hf://a/b', target: b}]",
        r"hf://owner/repo/file",
    ),
    "weights that leave the project": (
        "predictor: a.py:P\nweights: [../b]",
        r"weights\[0\]\.target is .*stays inside it",
    ),
    "weights with half a hash": (
        "predictor: a.py:P\nweights: [{source: b, target: b, sha256: abc}]",
        r"weights\[0\]\.sha256 is .*64 hexadecimal digits(.|\n)*sha256sum",
    ),
    "weights inside each other": (
        "predictor: a.py:P\nweights: [models/, models/b]",
        r"models/b and models would be put at the same place",
    ),
    "a misspelt key of weights": (
        "predictor: a.py:P\nweights: [{sorce: b}]",
        r'weights\[0\]\.sorce is not a known field; did you mean "weights\[0\]\.source"',
    ),
    "a bad variable name": (
        "predictor: a.py:P\nbuild:\n  environment:\n    OK: 1\n    A-B: 1",
        r":5: build\.environment\.A-B is .*cannot be the name of a variable",
    ),
    "a hang_timeout that busy workers exceed": (
        "predictor: a.py:P\nserve:\n  hang_timeout: 200ms",
        r":3: serve\.hang_timeout is .*at least 1s makes sense\.\n  Set it well above",
    ),
    "a target for a fixed concurrency": (
        "predictor: a.py:P\nserve:\n  concurrency: 4\n  target_latency: 1s",
        r":4: serve\.target_latency is .*a single number\.\n  Write concurrency as a range",
    ),
    "a limit for the memory of threads": (
        "predictor: a.py:P\nserve:\n  isolation: thread\n  recycle: {memory_limit: 1GB}",
        r":3: serve\.isolation is .*no memory of its own.*\n  Set isolation to process",
    ),
    "infinitely many GPUs": (
        "predictor: a.py:P\nserve:\n  gpus_per_worker: .inf",
        r":3: serve\.gpus_per_worker is .*a whole number, or a part of one GPU",
    ),
    "a key given twice": (
        "predictor: a.py:P\nserve:\n  workers: 1\n  workers: 2",
        r":4: serve\.workers is given twice, first on line 3\.\n  Keep one",
    ),
    "a syntax error": ("predictor: [a\nb: 1", r":2: this is not YAML: "),
    "a tab": ("predictor: a.py:P\nserve:\n\tworkers: 2", r":3: a tab indents this line"),
    "an object tag": ("predictor: !!python/object:os.system x", r":1: 'x' cannot be read as .*python/object"),
    "an alias to itself": ("predictor: a.py:P\nimage: &x [*x]", r":2: an alias refers to what encloses it"),
    "a list as key": ("predictor: a.py:P\n? [a]\n: b", r":2: a list or section cannot be a key"),
    "two documents": ("predictor: a.py:P\n---\npredictor: b.py:P", r"this is not YAML: .*another document"),
    "a control character": ("predictor: \x01", r"this is not YAML"),
    "deep nesting": ("[" * 10_000, r"nested too deeply"),
    "a value far too long": ("predictor: " + "a" * 10_000, r'is "a{59}\.\.\.; a predictor'),
}


@pytest.mark.parametrize(("text", "message"), CASES.values(), ids=CASES.keys())
def test_a_fault_is_told_so_that_it_can_be_mended(load: Load, text: str, message: str) -> None:
    with pytest.raises(SpecError, match=message):
        load(text)


def test_a_value_that_cannot_be_read_is_told_once(load: Load) -> None:
    with pytest.raises(SpecError) as caught:
        load("predictor: !!python/object:os.system x")

    assert str(caught.value).count("servekit.yaml:") == 1


def test_a_folder_without_a_spec_says_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(
        SpecError, match=rf"There is no servekit\.yaml and no cog\.yaml in {tmp_path}(.|\n)*servekit init"
    ):
        load_spec(tmp_path)


def test_a_file_that_is_not_utf8_is_refused(tmp_path: Path) -> None:
    (tmp_path / "servekit.yaml").write_bytes("predictor: ä".encode("latin-1"))

    with pytest.raises(SpecError, match="not UTF-8"):
        load_spec(tmp_path)


def test_a_byte_order_mark_does_no_harm(tmp_path: Path) -> None:
    (tmp_path / "servekit.yaml").write_bytes("predictor: a.py:P".encode("utf-8-sig"))

    assert load_spec(tmp_path).predictor == "a.py:P"


def test_a_worker_knows_the_spec_without_a_yaml_reader() -> None:
    script = (
        "import sys, servekit.spec; sys.exit(bool({'yaml', 'typer', 'fastapi', 'servekit_cli'} & set(sys.modules)))"
    )

    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0
