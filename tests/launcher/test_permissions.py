"""The Roles that the documents offer grant what the launcher asks for, and nothing else."""

from pathlib import Path

import yaml

from launcher.backends.kubernetes.client.permissions import (
    CLUSTER_ROLE,
    CLUSTER_RULES,
    ROLE,
    RULES,
    Permission,
    always_needed,
)

REPOSITORY = Path(__file__).parents[2]


def granted(path, kind):
    """Permissions of the only Role of a file, each once."""
    [role] = [each for each in yaml.safe_load_all((REPOSITORY / path).read_text()) if each["kind"] == kind]
    found = [
        Permission(verb, group, resource)
        for rule in role["rules"]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    ]
    assert len(found) == len(set(found))
    return set(found)


def asked(rules):
    found = [permission for rule in rules for permission in rule.permissions]
    assert len(found) == len(set(found))
    return set(found)


def test_the_role_is_the_table():
    assert granted(ROLE, "Role") == asked(RULES)


def test_the_cluster_role_is_the_table():
    assert granted(CLUSTER_ROLE, "ClusterRole") == asked(CLUSTER_RULES)


def test_every_rule_says_what_it_is_for():
    assert all(rule.purpose for rule in (*RULES, *CLUSTER_RULES))
    assert set(always_needed()) < asked(RULES)
