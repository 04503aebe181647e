"""The modules that the recorded requests went to."""

MYMOD = """
from dynamo.dataformat import Site
from dynamo.web import exceptions
from dynamo.web.modules._base import WebModule
from dynamo.web.modules._html import HTMLMixin


class MyData(WebModule):
    def run(self, caller, request, inventory):
        return {"caller": caller._asdict(), "request": request, "input_data": self.input_data}


class MyWeb(WebModule):
    def __init__(self, config):
        WebModule.__init__(self, config)
        self.content_type = "text/html"
        self.additional_headers = [("X-Test", "yes")]

    def run(self, caller, request, inventory):
        return "<html>hello</html>"


class Raw(WebModule):
    def run(self, caller, request, inventory):
        self.message = "a message"
        return [1, None, True, {"a": "b"}]


class Nothing(WebModule):
    def run(self, caller, request, inventory):
        return None


class Auth(WebModule):
    def __init__(self, config):
        WebModule.__init__(self, config)
        self.must_authenticate = True

    def run(self, caller, request, inventory):
        return caller.name


class BadCtor(WebModule):
    def __init__(self, config):
        raise RuntimeError("ctor")


class NoRun(WebModule):
    pass


class Update(WebModule):
    def run(self, caller, request, inventory):
        inventory.update(Site("FROM_WEB"))
        return sorted(inventory.sites.keys())


class UpdateForGood(Update):
    def __init__(self, config):
        WebModule.__init__(self, config)
        self.write_enabled = True


class UpdateAndFail(UpdateForGood):
    def run(self, caller, request, inventory):
        inventory.update(Site("FAILED"))
        raise RuntimeError("after lock")


def raising(make):
    class Raising(WebModule):
        def run(self, caller, request, inventory):
            raise make()

    return Raising


export_data = {
    "mydata": MyData,
    "raw": Raw,
    "nothing": Nothing,
    "a/b/c": Nothing,
    "auth": Auth,
    "badctor": BadCtor,
    "norun": NoRun,
    "upd": Update,
    "updw": UpdateForGood,
    "updwfail": UpdateAndFail,
    "missing": raising(lambda: exceptions.MissingParameter("p", "ctx")),
    "extra": raising(lambda: exceptions.ExtraParameter(["a", "b"])),
    "extra1": raising(lambda: exceptions.ExtraParameter("a")),
    "ill": raising(lambda: exceptions.IllFormedRequest("p", "v", "hint", ["x", "y"])),
    "invalid": raising(lambda: exceptions.InvalidRequest("why")),
    "invalid0": raising(lambda: exceptions.InvalidRequest()),
    "denied": raising(lambda: exceptions.ResponseDenied("no")),
    "authz": raising(lambda: exceptions.AuthorizationError()),
    "again": raising(lambda: exceptions.TryAgain("later")),
    "again0": raising(lambda: exceptions.TryAgain()),
    "crash": raising(lambda: ValueError("x")),
}
export_web = {"myweb": MyWeb}
registry_alias = {"aliased": {"mydata": MyData}}
"""

MYPKG = """
from .inner import MyData, MyWeb

export_data = {"mydata": MyData}
export_web = {"myweb": MyWeb, "": MyWeb}
"""
