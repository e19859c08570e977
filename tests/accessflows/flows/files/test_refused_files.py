"""Files that are not what they seem: refused with the line, and nothing is built from them."""

import pytest

from accessflows.flows.files.reader import MAX_BYTES, MAX_DEPTH, MAX_PARTS, FileRefused, read_yaml
from accessflows.models import AccessFlow
from tests.accessflows.flows.files.conftest import apply, minimal, plan_of
from tests.factories import AccessFlowFactory, GroupFactory, UserFactory

pytestmark = pytest.mark.django_db
BOMB = "a: &a [x, x]\nb: &b [*a, *a]\nc: [*b, *b]\n"


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "The file is empty"),
        (BOMB, "Line 1: Anchors and aliases"),
        ("a: 1\nb: *a\n", "Line 2: Anchors and aliases"),
        ("a: !!python/object/apply:os.system [id]\n", "Line 1: Tags"),
        ("a: !!str 1\n", "Line 1: Tags"),
        ("a: 1\nb: 2\na: 3\n", "Line 3: a is here twice"),
        ('a: 1\n"a": 3\n', "Line 2: a is here twice"),
        ("a: 1\n---\nb: 2\n", "Line 2: A file holds one document"),
        ("? [a]\n: 1\n", "Line 1: A key must be text"),
        ("a: [1\nb: 2\n", "not valid YAML"),
        ('a: "x\\0"\n', "Line 1: Text is one line of visible"),
        ('a: "x\\u202e"\n', "Line 1: Text is one line of visible"),
        ('a: "x "\n', "Line 1: Remove the spaces"),
        ("a: \x07\n", "not valid YAML"),
        ("a: \ud800\n", "not valid YAML"),
        ("[" * (MAX_DEPTH + 2) + "]" * (MAX_DEPTH + 2), "nested too deeply"),
        ("[" * 100_000, "nested too deeply"),
        ("- x\n" * (MAX_PARTS + 1), "more than"),
        ("x" * (MAX_BYTES + 1), "larger than"),
    ],
)
def test_a_hostile_file_is_refused(text, sentence):
    with pytest.raises(FileRefused, match=sentence):
        read_yaml(text)


def test_words_of_yaml_1_1_are_text():
    assert read_yaml("[yes, on, 09:00, 0x10, 1e3, .inf, 2026-01-01, '1', <<, 7, true]")[0] == [
        *("yes", "on", "09:00", "0x10", "1e3", ".inf", "2026-01-01", "1", "<<", 7, True)
    ]


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"require_mfa": ""}, "Line 4: require_mfa is missing. Write true or false"),
        ({"require_mfa": "on"}, "Line 5: require_mfa must be true or false."),
        ({"require_MFA": "true"}, "Line 10: require_MFA is not known here."),
        ({"approval": ""}, "approval is missing"),
        ({"name": "7"}, "Line 4: name must be text. Put it in quotes."),
        ({"max_duration": "soon"}, "Line 8: This is not a duration"),
        ({"max_duration": "999 d"}, "Line 8: The maximum duration"),
        ({"approver_groups": "[Nobody]"}, "Line 10: There is no group Nobody."),
        ({"approver_users": "[eve@corp.test]"}, "Line 10: There is no user eve@corp.test."),
        ({"approver_groups": "[Developers]"}, "Automatic approval has no approvers"),
        (
            {"mfa_strength": "any", "require_mfa": "false", "verify_every_request": "true"},
            "Turn on",
        ),
        ({"break_glass": "true", "require_justification": "false"}, "needs a reason"),
        ({"requesters": "[]"}, "Line 6: requesters must not be empty."),
        ({"targets": "[{integration: X, resource: y, permissions: [z]}]"}, "no integration X"),
        (
            {"targets": "[{integration: Deploy hook, resource: orders, permissions: [root]}]"},
            "Line 7: There is no permission root on Deploy hook.",
        ),
        (
            {"availability": "{days: [mon], from: 9, until: '17:00', time_zone: UTC}"},
            "from must be",
        ),
        (
            {"availability": "{days: [mon], from: 09:00, until: 17:00, time_zone: Mars}"},
            "time zone",
        ),
        ({"max_extensions": "999999999"}, "at most 1000"),
        ({"description": "x" * 201}, "at most 200 characters"),
    ],
)
def test_a_wrong_value_is_refused_with_its_line(hook, people, changes, sentence):
    with pytest.raises(FileRefused, match=sentence.replace("(", r"\(")):
        plan_of(minimal(**changes))


def test_a_user_that_differs_in_case_is_another(hook, people):
    with pytest.raises(FileRefused, match=r"no group developers\. Did you mean Developers"):
        plan_of(minimal(approval="any_of", approver_groups="[developers]"))
    UserFactory(email="zoe@corp.test")
    with pytest.raises(FileRefused, match=r"Did you mean zoe@corp\.test"):
        plan_of(minimal(approval="any_of", approver_users="[Zoe@corp.test]"))


def test_a_group_that_only_looks_the_same_is_another(hook, people):
    GroupFactory(name="D\N{CYRILLIC SMALL LETTER IE}velopers")
    document = minimal()
    change = plan_of(document).changes[0]
    assert change.impact.gaining.first == ("Ada",)  # a member of the Latin one only


@pytest.mark.parametrize("name", ["deploy", "\N{FULLWIDTH LATIN CAPITAL LETTER D}eploy", "DEPLOY"])
def test_a_flow_whose_name_looks_like_another_is_refused(hook, people, name):
    AccessFlowFactory(name="Deploy")
    with pytest.raises(FileRefused, match="There is an access flow Deploy"):
        plan_of(minimal(name=name))
    assert AccessFlow.objects.count() == 1


def test_two_flows_with_one_look_in_a_file_are_refused(hook, people):
    second = minimal(name="deploy").partition("flows:\n")[2]
    with pytest.raises(FileRefused, match="Line 11: An access flow above is named Deploy"):
        plan_of(minimal() + second)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("mfa_strength", "device_bound"),
        ("verify_every_request", "true"),
        ("require_ticket", "true"),
        ("ticket_pattern", "OPS-#"),
        ("active", "false"),
        ("availability", "{days: [mon], from: 09:00, until: 17:00, time_zone: UTC}"),
    ],
)
def test_leaving_a_key_out_never_changes_a_flow(hook, people, key, value):
    apply(minimal(**{key: value}))
    with pytest.raises(FileRefused, match=f"{key} is left out, but Deploy has a value for it"):
        plan_of(minimal())
