"""Settings: values that the whole process shares, and overlays of them for one prediction, task or thread.

An author declares them in a class of `Settings`. A value comes from the class, from the spec's
`settings`, from `configure`, and on top of these from the overlays of the Context: those of `context`,
and what the request overrides.

fields       what `Setting(...)` says about one of them
overlays     values that hold in one Context only; each block takes away its own and nothing else
process      the values of the process, replaced as a whole
author       what an author uses: `Settings`, `settings`, `configure`, `context`
reading      the class read into types: a `declaration`. Only these two need pydantic, and the first class loads them
given        values from outside the code: the spec, a variable, a flag
carrying     what this process has configured, as it travels to worker processes that it has started
inheritance  the same where it arrives, in a worker process
requests     what a request overrides, on its way from the body into the prediction's Context

None of it lives in a module `servekit.settings`: that name is the object that authors read.
"""

from servekit.configuration.author import Settings, configure, context, isolated_settings, settings
from servekit.configuration.fields import Setting

__all__ = ["Setting", "Settings", "configure", "context", "isolated_settings", "settings"]
