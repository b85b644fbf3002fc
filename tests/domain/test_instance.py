from meshd.domain.instance import Dependency, Instance, OfferedTool
from meshd.domain.resolve import Want


def test_an_instance_lists_its_dependencies_in_order() -> None:
    first, second = Dependency(want=Want(capability="x")), Dependency(want=Want(capability="y"))
    one = OfferedTool(name="f", capability="c", dependencies=(first, second))
    two = OfferedTool(name="g", capability="", dependencies=(first,))

    instance = Instance(id="a-1", agent="a", endpoint="http://h:1", tools=(one, two))

    assert list(instance.dependencies()) == [(one, first), (one, second), (two, first)]
