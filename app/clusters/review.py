"""What a person is shown of a plan."""

from __future__ import annotations

from typing import Any

from app.clusters import words
from app.terraform.plan import Plan as TerraformPlan
from app.terraform.plan import ResourceChange


def review_of(plan: TerraformPlan) -> dict[str, Any]:
    """What a person is shown of a plan; sensitive values are masked already."""
    return {
        "actions": plan.actions,
        "summary": [sentence.as_json() for sentence in words.summarise(plan)],
        "resources": [resource_json(change) for change in plan.changed],
        "drift": [resource_json(change) for change in plan.drift],
    }


def resource_json(change: ResourceChange) -> dict[str, Any]:
    return {
        "address": change.address,
        "type": change.type,
        "name": change.name,
        "index": change.index,
        "action": change.action.value,
        "changes": [vars(each) for each in change.changes],
        "reason": change.reason,
    }
