"""Every field of cog.yaml: what it means here, and what is said of one that is wrong."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from servekit.errors import SpecError
from servekit.spec import CommandSpec, QueueSpec, Range, ServeSpec, Spec, apply_overrides, load_spec

Load = Callable[[str], Spec]

RUN = "run: run.py:Runner\n"
PYTHON = 'build:\n  python_version: "3.13"\n'
LEAST = PYTHON + RUN


@pytest.fixture
def load(tmp_path: Path) -> Load:
    def load(text: str) -> Spec:
        (tmp_path / "cog.yaml").write_text(text, encoding="utf-8")
        return load_spec(tmp_path)

    return load


def build(lines: str) -> str:
    """Write a file with lines below `build`."""
    return PYTHON + "".join(f"  {line}\n" for line in lines.splitlines()) + RUN


def top(lines: str) -> str:
    """Write a file with more lines."""
    return LEAST + lines


def weights(*, source: str = "weights", target: str = "/src/weights") -> str:
    return top(f"weights: [{{name: base, target: {target}, source: {source}}}]")


def command(text: str, **secrets: str) -> CommandSpec:
    return CommandSpec(command=text, secrets=secrets)


# Which file is the spec.


def test_a_folder_with_a_cog_yaml_is_a_project(load: Load) -> None:
    spec = load(LEAST)

    assert (spec.dialect, spec.path.name, spec.predictor) == ("cog", "cog.yaml", "run.py:Runner")


def test_a_servekit_yaml_beside_it_counts(load: Load) -> None:
    root = load(LEAST).root
    (root / "servekit.yaml").write_text("predictor: predict.py:Predictor")

    assert load_spec(root).dialect == "servekit"


def test_a_cog_yaml_that_is_named_counts(load: Load) -> None:
    root = load(LEAST).root
    (root / "servekit.yaml").write_text("predictor: predict.py:Predictor")

    assert load_spec(root / "cog.yaml").dialect == "cog"


@pytest.mark.parametrize("name", ["cog-cpu.yaml", "cog_gpu.yaml", "cog.dev.yaml", "cog.yml"])
def test_a_variant_of_the_name_is_read_by_the_same_rules(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text(LEAST)

    assert load_spec(tmp_path / name).dialect == "cog"


def test_another_name_is_not_taken_for_cogs(tmp_path: Path) -> None:
    (tmp_path / "cogwheel.yaml").write_text("predictor: predict.py:Predictor")

    assert load_spec(tmp_path / "cogwheel.yaml").dialect == "servekit"


def test_a_folder_with_neither_is_told_of_both(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match=r"There is no servekit\.yaml and no cog\.yaml in "):
        load_spec(tmp_path)


def test_a_file_says_nothing_of_its_dialect_itself(tmp_path: Path) -> None:
    (tmp_path / "servekit.yaml").write_text("predictor: predict.py:Predictor\ndialect: cog\n")

    with pytest.raises(SpecError, match="dialect is not a known field"):
        load_spec(tmp_path)


# What the fields mean.

MEANINGS: dict[str, tuple[str, dict[str, Any]]] = {
    "a class": (LEAST, {"predictor": "run.py:Runner"}),
    "a function": (PYTHON + "run: run.py:run", {"predictor": "run.py:run"}),
    "a file in a folder": (PYTHON + "run: src/run.py:Runner", {"predictor": "src/run.py:Runner"}),
    "a predictor by its old name": (PYTHON + "predict: predict.py:Predictor", {"predictor": "predict.py:Predictor"}),
    "an image": (top("image: r8.im/me/model"), {"image": "r8.im/me/model"}),
    "an image that looks like a number": (top("image: 12"), {"image": "12"}),
    "a model": (top("model: registry.example.org:5000/me/model"), {"image": "registry.example.org:5000/me/model"}),
    "a python version": (LEAST, {"build.python_version": "3.13"}),
    "a python version without quotes": ("build: {python_version: 3.14}\n" + RUN, {"build.python_version": "3.14"}),
    "python 3.10": ("build: {python_version: 3.10}\n" + RUN, {"build.python_version": "3.11"}),
    "a patch version of python": ('build: {python_version: "3.12.5"}\n' + RUN, {"build.python_version": "3.12"}),
    "a gpu": (build("gpu: true"), {"build.gpu": True, "build.cuda": None}),
    "a minor version of cuda": (build("gpu: true\ncuda: 12.6"), {"build.cuda": "12.6-cudnn-devel"}),
    "a patch version of cuda": (build('gpu: true\ncuda: "12.8.1"'), {"build.cuda": "12.8.1-cudnn-devel"}),
    "cuda with its first image of cuDNN": (build("gpu: true\ncuda: 12.4"), {"build.cuda": "12.4.1-cudnn-devel"}),
    "cuda with cuDNN 9 in its name": (build("gpu: true\ncuda: 12.3"), {"build.cuda": "12.3.2-cudnn9-devel"}),
    "cuda with cuDNN 8 in its name": (build("gpu: true\ncuda: 11.8"), {"build.cuda": "11.8-cudnn8-devel"}),
    "cuda of before Ubuntu 22.04": (
        build("gpu: true\ncuda: 11.3"),
        {"build.cuda": "11.3.1-cudnn8-devel-ubuntu20.04"},
    ),
    "the cuDNN of the image": (build("gpu: true\ncuda: 12.1\ncudnn: 8"), {"build.cuda": "12.1-cudnn8-devel"}),
    "a minor version of cuDNN": (build("gpu: true\ncuda: 12.6\ncudnn: 9.5"), {"build.cuda": "12.6-cudnn-devel"}),
    "cuda without a gpu": (build("cuda: 12.6"), {"build.cuda": None}),
    "requirements": (build("python_requirements: a/r.txt"), {"build.python_requirements": "a/r.txt"}),
    "packages": (build("python_packages: [numpy==2.0]"), {"build.python_packages": ("numpy==2.0",)}),
    "a system package by an old name": (
        build("system_packages: [git, libgl1-mesa-glx, libgl1]"),
        {"build.system_packages": ("git", "libgl1")},
    ),
    "system packages": (
        build("system_packages: [ffmpeg, libgl1=1.6]"),
        {"build.system_packages": ("ffmpeg", "libgl1=1.6")},
    ),
    "lists without items": (
        build("python_packages:\nsystem_packages:\nrun:\npre_install:"),
        {"build.python_packages": (), "build.system_packages": (), "build.run": ()},
    ),
    "commands": (build("run: [one, 'two; three']"), {"build.run": (command("one"), command("two; three"))}),
    "a command of several lines": (build("run:\n- |\n  one\n  two"), {"build.run": (command("one\ntwo\n"),)}),
    "a command with a secret": (
        build("run: [{command: pip download x, mounts: [{type: secret, id: pip, target: /etc/pip.conf}]}]"),
        {"build.run": (command("pip download x", pip="/etc/pip.conf"),)},
    ),
    "a command in a section of its own": (build("run: [{command: one}]"), {"build.run": (command("one"),)}),
    "commands by their old name": (
        build("run: [one]\npre_install: [two]"),
        {"build.run": (command("one"), command("two"))},
    ),
    "variables": (
        top("environment: [HF_HOME=/tmp/hf, EMPTY=, TWICE=a=b]"),
        {"build.environment": {"HF_HOME": "/tmp/hf", "EMPTY": "", "TWICE": "a=b"}},
    ),
    "concurrency": (top("concurrency: {max: 4}"), {"serve.concurrency": Range(4, 4)}),
    "no concurrency": (LEAST, {"serve.concurrency": Range(1, 1), "serve.workers": Range(1, 1)}),
    "no queue": (LEAST, {"serve.queue": QueueSpec(max=0), "serve.caller.max": None}),
    "a port": (LEAST, {"serve.port": 5000, "serve.host": "0.0.0.0"}),
    "no time limit": (LEAST, {"serve.timeout": None, "serve.setup_timeout": 3600}),
    "a body of 100 MiB": (LEAST, {"serve.max_body": 100 * 2**20}),
    "a shutdown by request": (LEAST, {"serve.allow_shutdown": True}),
    "servekit's own limits": (
        LEAST,
        {"serve.fetch": ServeSpec().fetch, "serve.max_output": ServeSpec().max_output, "serve.tracebacks": True},
    ),
}


@pytest.mark.parametrize("case", MEANINGS)
def test_a_field_means(load: Load, case: str) -> None:
    text, expected = MEANINGS[case]

    spec = load(text)

    assert {path: find(spec, path) for path in expected} == expected


def find(value: object, path: str) -> object:
    for name in path.split("."):
        value = getattr(value, name)
    return value


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (weights(), [("weights", "weights")]),
        (weights(source="file://./local/w", target="/src/a/b/"), [("./local/w", "a/b")]),
        (weights(source="{uri: 'https://h.org/a/w.bin?x=1'}"), [("https://h.org/a/w.bin?x=1", "weights/w.bin")]),
        (
            weights(source="{uri: 'hf://me/model@v1', include: [a.bin, sub/b.bin]}"),
            [("hf://me/model/a.bin@v1", "weights/a.bin"), ("hf://me/model/sub/b.bin@v1", "weights/sub/b.bin")],
        ),
        (
            weights(source="[{uri: 'https://h.org/a'}, {uri: 'https://h.org/b'}]"),
            [("https://h.org/a", "weights/a"), ("https://h.org/b", "weights/b")],
        ),
    ],
)
def test_weights_mean_files_in_the_project(load: Load, text: str, expected: list[tuple[str, str]]) -> None:
    assert [(entry.source, entry.target) for entry in load(text).weights] == expected


# What is told, although it works.

WARNINGS = {
    "predict": (PYTHON + "predict: predict.py:Predictor", 'cog.yaml:3: deprecated field "predict": use "run" instead.'),
    "python_packages": (
        build("python_packages: [numpy]"),
        'deprecated field "build.python_packages": .*requirements.txt',
    ),
    "pre_install": (build("pre_install: [one]"), r'deprecated field "build.pre_install": use "build\.run" instead'),
    "concurrency.max": (top("concurrency: {max: 2}"), 'deprecated field "concurrency.max"'),
    "concurrency.default_target": (
        top("concurrency:\n  default_target: 2"),
        r"cog\.yaml:5: concurrency\.default_target has no effect",
    ),
    "sdk_version": (build('sdk_version: "0.18.0"'), "sdk_version has no effect: servekit stands in"),
    "a key that Cog has given up": (build("fast: true"), r"build\.fast has no effect; Cog has given it up"),
    "another one": (build("cog_runtime: true"), r"build\.cog_runtime has no effect; Cog has given it up"),
    "an old name of a package": (build("system_packages: [libgl1-mesa-glx]"), "its newer name, libgl1"),
    "a prerelease of the SDK": (build("sdk_version: prerelease"), "sdk_version has no effect"),
    "observability": (top("observability: {traces: {enabled: true}}"), "observability has no effect"),
    "python 3.10": ("build: {python_version: 3.10}\n" + RUN, '"3.10" is taken as "3.11", the oldest'),
    "a patch version": ("build: {python_version: 3.12.5}\n" + RUN, '"3.12.5" is taken as "3.12", of which the newest'),
    "cuda without a gpu": (build("cuda: 12.6"), "build.cuda has no effect without `gpu: true`"),
    "cuDNN without a gpu": (build("cudnn: 9"), "build.cudnn has no effect without `gpu: true`"),
    "cuDNN without cuda": (build("gpu: true\ncudnn: 9"), "build.cudnn has no effect without build.cuda"),
}


@pytest.mark.parametrize("case", WARNINGS)
def test_a_field_works_and_is_told_of(load: Load, case: str) -> None:
    text, pattern = WARNINGS[case]

    (warning,) = load(text).warnings

    assert re.search(pattern, warning)


@pytest.mark.parametrize(
    "text", [LEAST, build("gpu: true\ncuda: 12.6"), top("observability: {}"), top("train: train.py:train")]
)
def test_there_is_nothing_to_tell_of_an_ordinary_file(load: Load, text: str) -> None:
    assert load(text).warnings == ()


def test_warnings_come_in_the_order_of_lines(load: Load) -> None:
    text = "predict: predict.py:Predictor\nconcurrency: {max: 2}\nbuild:\n  python_version: 3.10\n"

    assert [warning.split(":")[1] for warning in load(text).warnings] == ["1", "2", "4"]


# What is refused.

FAULTS = {
    "no python version": (RUN, r"cog\.yaml:1: build\.python_version is required"),
    "an empty build": ("build:\n" + RUN, r"cog\.yaml:1: build\.python_version is required"),
    "python 3.7": (
        'build:\n  python_version: "3.7"\n' + RUN,
        r'cog\.yaml:2: invalid build\.python_version "3\.7": minimum supported Python version is 3\.10\.',
    ),
    "half a python version": ('build: {python_version: "3"}\n' + RUN, "must include major and minor version"),
    "no python version at all": ("build: {python_version: latest}\n" + RUN, "must include major and minor version"),
    "a python of the future": (
        "build: {python_version: 3.15}\n" + RUN,
        r'"3\.15": servekit runs on Python up to 3\.14',
    ),
    "half a cuda version": (build('gpu: true\ncuda: "12"'), "must include both major and minor versions"),
    "an old cuda": (
        build("gpu: true\ncuda: 10.2"),
        r'invalid build\.cuda "10\.2": minimum supported CUDA version is 11',
    ),
    "another cuDNN": (
        build("gpu: true\ncuda: 11.8\ncudnn: 9"),
        r'cudnn "9": the image of CUDA 11\.8 comes with cuDNN 8',
    ),
    "both kinds of dependencies": (
        build("python_requirements: r.txt\npython_packages: [a]"),
        "only one of python_packages or python_requirements can be set",
    ),
    "requirements elsewhere": (build("python_requirements: ../r.txt"), "relative to the folder of the spec"),
    "packages that are no list": (
        build("python_packages: numpy"),
        r"build\.python_packages is \"numpy\"; it must be a list",
    ),
    "a system package with a blank": (build("system_packages: [apt install x]"), "one Debian package"),
    "a command that is a number": (build("run: [5]"), r"build\.run\[0\] is 5; it must be a command"),
    "a command with a wrong key": (build("run: [{command: x, mount: []}]"), r'did you mean "build\.run\[0\]\.mounts"'),
    "a mount of another kind": (
        build("run: [{command: x, mounts: [{type: bind, id: a, target: /b}]}]"),
        "only secrets can be mounted",
    ),
    "a mount without a target": (
        build("run: [{command: x, mounts: [{type: secret, id: a}]}]"),
        r"build\.run\[0\]\.mounts\[0\]\.target is missing",
    ),
    "a secret twice": (
        build(f"run: [{{command: x, mounts: [{', '.join(['{type: secret, id: a, target: /b}'] * 2)}]}}]"),
        "the secret a is mounted more than once",
    ),
    "a mount at a relative path": (
        build("run: [{command: x, mounts: [{type: secret, id: a, target: b}]}]"),
        "begins with a slash",
    ),
    "an old SDK": (
        build('sdk_version: "0.15.9"'),
        r'invalid build\.sdk_version "0\.15\.9": minimum required version is',
    ),
    "no version of the SDK": (build("sdk_version: newest"), "must be a version or prerelease"),
    "both names of the predictor": (top("predict: predict.py:Predictor"), "only one of run or predict can be set"),
    "no predictor": (PYTHON, "run is missing; it names the class or function to run"),
    "run without a class": (PYTHON + "run: run.py", r"must be in the form 'run\.py:Runner'"),
    "predict without a class": (PYTHON + "predict: predict", r"must be in the form 'predict\.py:Predictor'"),
    "train without a class": (top("train: train.py"), r"must be in the form 'train\.py:Trainer'"),
    "an image and a model": (top("image: a\nmodel: b"), "only one of image or model can be set"),
    "a model with a tag": (top("model: me/model:v1"), "without a tag or digest"),
    "a model with a digest": (top("model: me/model@sha256:00"), "without a tag or digest"),
    "concurrency of zero": (top("concurrency: {max: 0}"), r"concurrency\.max is 0; it must be at least 1"),
    "concurrency that is a text": (
        top("concurrency: {max: many}"),
        r"concurrency\.max is \"many\"; it must be a whole",
    ),
    "a variable without a value": (
        top("environment: [A]"),
        r"environment\[0\] is \"A\"; a variable is written NAME=value",
    ),
    "variables as a mapping": (top("environment: {A: b}"), "environment is .* it must be a list"),
    "a variable twice": (top("environment: [A=1, A=2]"), "environment sets A more than once"),
    "a misspelt key": (top("concurency: {max: 2}"), r'concurency is not a known field; did you mean "concurrency"\?'),
    "a key in the wrong place": (top("gpu: true"), r'gpu is not a known field; did you mean "build\.gpu"\?'),
    "a key of servekit.yaml": (top("serve: {workers: 2}"), "serve is not a known field"),
    "a misspelt key of build": (build("python_package: [a]"), r'did you mean "build\.python_packages"'),
    "a key twice": (top("image: a\nimage: b"), "image is given twice"),
    "weights outside of the project": (
        weights(target="/weights"),
        "weights at /weights would be outside of the project",
    ),
    "weights in place of the project": (weights(target="/src/"), "outside of the project"),
    "weights in place of everything": (weights(target="/"), "not /"),
    "weights at a relative path": (weights(target="weights"), "absolute path"),
    "weights that climb out": (weights(target="/src/../etc"), "absolute path"),
    "weights without a source": (weights(source="[]"), r"weights\[0\]\.source"),
    "weights from elsewhere": (weights(source="s3://a/b"), r"weights come from hf://, https://"),
    "a whole repository": (weights(source="hf://me/model"), "no whole repository"),
    "files by a pattern": (weights(source="{uri: 'hf://me/model', include: ['*.bin']}"), "cannot follow a pattern"),
    "files left out": (weights(source="{uri: 'hf://me/m', include: [a], exclude: [b]}"), "leaves none out"),
    "files of no repository": (weights(source="{uri: 'https://h.org/a', include: [a]}"), "this is none"),
    "a host for a file": (weights(source="https://h.org"), "is one file"),
    "a password in a source": (weights(source="https://u:secret@h.org/a"), "could be read by everybody"),
    "weights at one place": (weights(source="[https://h.org/a, https://g.org/a]"), "at the same place"),
}

RESERVED = [
    "PATH",
    "LD_LIBRARY_PATH",
    "PYTHONPATH",
    "VIRTUAL_ENV",
    "PYTHONUNBUFFERED",
    "LIBRARY_PATH",
    "HF_ENDPOINT",
    "HF_HUB_ENABLE_HF_TRANSFER",
    "R8_X",
    "REPLICATE_API_TOKEN",
    "CUDA_HOME",
    "NVIDIA_X",
    "NV_X",
    "PGET_X",
    "KUBERNETES_X",
]


@pytest.mark.parametrize("case", FAULTS)
def test_a_wrong_file_is_refused(load: Load, case: str) -> None:
    text, pattern = FAULTS[case]

    with pytest.raises(SpecError, match=pattern) as caught:
        load(text)

    assert len(re.findall(r"^cog\.yaml:\d+: ", str(caught.value), re.MULTILINE)) == 1


@pytest.mark.parametrize("name", RESERVED)
def test_a_variable_of_the_system_is_refused(load: Load, name: str) -> None:
    message = f'environment variable "{name}" is not allowed: reserved for internal use'

    with pytest.raises(SpecError, match=message):
        load(top(f"environment: [{name}=x]"))


def test_all_faults_are_told_at_once_with_their_lines(load: Load) -> None:
    with pytest.raises(SpecError) as caught:
        load("build:\n  python_version: 3.7\n  gpus: true\nrun: run.py\nimage: ''\nenvironment:\n- OK=1\n- PATH=x\n")

    assert re.findall(r"^cog\.yaml:(\d+):", str(caught.value), re.MULTILINE) == ["2", "3", "4", "5", "8"]


# The variables of a running server.

VARIABLES: dict[str, tuple[dict[str, str], str, object]] = {
    "slots": ({"COG_MAX_CONCURRENCY": "8"}, "concurrency", Range(8, 8)),
    "slots below servekit's own": (
        {"COG_MAX_CONCURRENCY": "8", "SERVEKIT_CONCURRENCY": "2"},
        "concurrency",
        Range(2, 2),
    ),
    "slots above an empty one of servekit's": (
        {"COG_MAX_CONCURRENCY": "8", "SERVEKIT_CONCURRENCY": ""},
        "concurrency",
        Range(8, 8),
    ),
    "a setup's time": ({"COG_SETUP_TIMEOUT": "90"}, "setup_timeout", 90),
    "a setup without a limit": ({"COG_SETUP_TIMEOUT": "0"}, "setup_timeout", 86400),
    "a history of events": ({"COG_STREAM_HISTORY_CAPACITY": "0"}, "stream_history", 0),
    "a level": ({"COG_LOG_LEVEL": "WARN"}, "log_level", "warning"),
    "a console": ({"LOG_FORMAT": "console"}, "log_format", "console"),
    "another format": ({"LOG_FORMAT": "json"}, "log_format", "json"),
    "a port": ({"PORT": "8080"}, "port", 8080),
    "an empty variable": ({"COG_MAX_CONCURRENCY": ""}, "concurrency", Range(1, 1)),
}


@pytest.mark.parametrize("case", VARIABLES)
def test_a_variable_sets(load: Load, case: str) -> None:
    environ, field, expected = VARIABLES[case]

    spec = apply_overrides(load(LEAST), environ)

    assert (getattr(spec.serve, field), spec.warnings) == (expected, ())


@pytest.mark.parametrize("seconds", ["0", "2.5"])
def test_the_throttle_is_the_interval_of_webhooks(load: Load, seconds: str) -> None:
    spec = apply_overrides(load(LEAST), {"COG_THROTTLE_RESPONSE_INTERVAL": seconds})

    assert (spec.serve.webhook.interval, spec.warnings) == (float(seconds), ())


def test_a_flag_wins_over_a_variable(load: Load) -> None:
    spec = apply_overrides(load(LEAST), {"COG_MAX_CONCURRENCY": "8"}, {"concurrency": "3"})

    assert spec.serve.concurrency == Range(3, 3)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("COG_MAX_CONCURRENCY", "0"),
        ("COG_MAX_CONCURRENCY", "many"),
        ("COG_MAX_CONCURRENCY", "1000000"),
        ("COG_SETUP_TIMEOUT", "-1"),
        ("COG_SETUP_TIMEOUT", "5 min"),
        ("COG_STREAM_HISTORY_CAPACITY", "nope"),
        ("COG_LOG_LEVEL", "loud"),
    ],
)
def test_a_variable_that_cannot_be_read_is_left_alone_and_told(load: Load, name: str, text: str) -> None:
    spec = load(LEAST)

    changed = apply_overrides(spec, {name: text})

    assert changed.serve == spec.serve
    assert [warning.partition(";")[0] for warning in changed.warnings] == [f'{name} is "{text}" and is left alone']


def test_cogs_variables_have_no_effect_on_servekits_own_projects() -> None:
    spec = Spec(predictor="predict.py:Predictor", path=Path("/project/servekit.yaml"))

    assert apply_overrides(spec, {"COG_MAX_CONCURRENCY": "8", "LOG_FORMAT": "console"}) == spec
