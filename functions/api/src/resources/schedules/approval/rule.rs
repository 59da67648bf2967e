//! Which schedules need an approval: a pure function of a few facts.

use shared::{access::Role, platform::config::Env};
use uuid::Uuid;

/// What the rule knows about a schedule, and about the call that has made or changed it.
#[derive(Clone, Copy, Debug)]
pub struct Facts {
    /// The length of its list.
    pub recipients: u32,
    /// What it is planned to cost, in millionths of the currency unit; 0 if the rule does not ask.
    pub cost_micros: u64,
    /// The role of the person who calls, also with a key of its own.
    pub role: Option<Role>,
    /// The key with which the call was made.
    pub key: Option<Uuid>,
}

/// Why a schedule needs an approval.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// It has more recipients than `APPROVAL_ABOVE`.
    Recipients,
    /// It is planned to cost more than `APPROVAL_ABOVE_COST`.
    Cost,
    /// `APPROVAL_ROLES` names its caller.
    Caller,
}

impl Reason {
    /// Each reason.
    pub const ALL: [Self; 3] = [Self::Recipients, Self::Cost, Self::Caller];

    /// Returns the value in the database and the API.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Recipients => "recipients",
            Self::Cost => "cost",
            Self::Caller => "caller",
        }
    }
}

/// A caller whose schedules always need an approval.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Named {
    Role(Role),
    /// Every API key.
    AnyKey,
    Key(Uuid),
}

/// Millionths in a currency unit.
const MICROS: u64 = 1_000_000;

/// The expected form of `APPROVAL_ROLES`.
const CALLERS: &str = "operator, admin, key (each API key) or key:ID, separated by commas";

/// The rule. By default no schedule needs an approval.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ApprovalRule {
    /// Lists that are longer need an approval; 0: none does.
    above: u32,
    /// Schedules that cost more need an approval, in currency units; 0: none does.
    above_cost: u32,
    callers: Vec<Named>,
}

impl ApprovalRule {
    /// Returns the rule of these settings, or what is wrong with the second one.
    pub fn parse(above: u32, callers: &str) -> Result<Self, String> {
        let names = callers.split(',').map(str::trim);
        let parsed: Result<_, _> = names
            .filter(|name| !name.is_empty())
            .map(|name| Named::parse(name).ok_or_else(|| name.to_owned()))
            .collect();
        parsed.map(|callers| Self {
            above,
            above_cost: 0,
            callers,
        })
    }

    /// Returns the rule with a limit of the cost, in currency units; 0: any cost.
    #[must_use]
    pub fn with_cost(self, above_cost: u32) -> Self {
        Self { above_cost, ..self }
    }

    /// Reads `APPROVAL_ABOVE`, `APPROVAL_ABOVE_COST` and `APPROVAL_ROLES`.
    pub fn from_env(env: &mut Env) -> Self {
        const NAME: &str = "APPROVAL_ROLES";
        let above = env.number("APPROVAL_ABOVE", 0..=10_000_000, Some(0));
        let above_cost = env.number("APPROVAL_ABOVE_COST", 0..=1_000_000_000, Some(0));
        let given = env.optional(NAME, CALLERS).unwrap_or_default();
        let rule = Self::parse(above, &given).unwrap_or_else(|unknown| {
            env.report(NAME, format!("has `{unknown}`; expected {CALLERS}"))
                .unwrap_or_default()
        });
        rule.with_cost(above_cost)
    }

    /// Returns the rule with the run-time settings in place of what was deployed. Callers that are
    /// wrong are logged, and the deployed ones apply.
    #[must_use]
    pub fn overridden(&self, above: Option<u32>, callers: Option<&str>) -> Self {
        let deployed = || Self {
            above: above.unwrap_or(self.above),
            above_cost: self.above_cost,
            callers: self.callers.clone(),
        };
        let Some(callers) = callers else {
            return deployed();
        };
        let parsed = Self::parse(above.unwrap_or(self.above), callers);
        parsed.map_or_else(
            |unknown| {
                tracing::error!(%unknown, "a caller of the run-time settings is not known");
                deployed()
            },
            |rule| rule.with_cost(self.above_cost),
        )
    }

    /// Returns whether no schedule needs an approval.
    pub fn is_off(&self) -> bool {
        *self == Self::default()
    }

    /// Returns whether the rule asks what a schedule costs.
    pub const fn asks_cost(&self) -> bool {
        self.above_cost > 0
    }

    /// Returns why a schedule needs an approval, or `None` if it needs none.
    pub fn reason(&self, facts: &Facts) -> Option<Reason> {
        let names_caller = |named: &Named| match named {
            Named::Role(role) => facts.role == Some(*role),
            Named::AnyKey => facts.key.is_some(),
            Named::Key(key) => facts.key == Some(*key),
        };
        if self.callers.iter().any(names_caller) {
            return Some(Reason::Caller);
        }
        if self.above > 0 && facts.recipients > self.above {
            return Some(Reason::Recipients);
        }
        let most = u64::from(self.above_cost) * MICROS;
        (self.asks_cost() && facts.cost_micros > most).then_some(Reason::Cost)
    }
}

impl Named {
    fn parse(name: &str) -> Option<Self> {
        match name.split_once(':') {
            Some(("key", id)) => Uuid::try_parse(id).ok().map(Self::Key),
            Some(_) => None,
            None if name == "key" => Some(Self::AnyKey),
            None => Role::parse(name).map(Self::Role),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rule_applies_to_long_lists_and_to_named_callers() {
        let (one, other) = (Uuid::from_u128(1), Uuid::from_u128(2));
        let facts = |recipients, role, key| Facts {
            recipients,
            cost_micros: 0,
            role,
            key,
        };
        let of_one = format!("admin, key:{one}");
        #[rustfmt::skip]
        let table = [
            (0, "", facts(9_999_999, Some(Role::Operator), None), None),
            (100, "", facts(100, Some(Role::Operator), None), None),
            (100, "", facts(101, Some(Role::Operator), None), Some(Reason::Recipients)),
            (0, "operator", facts(1, Some(Role::Operator), None), Some(Reason::Caller)),
            (0, "operator", facts(1, Some(Role::Admin), None), None),
            (0, "operator", facts(1, Some(Role::Operator), Some(one)), Some(Reason::Caller)),
            (0, "key", facts(1, None, Some(one)), Some(Reason::Caller)),
            (0, "key", facts(1, Some(Role::Admin), None), None),
            (0, of_one.as_str(), facts(1, None, Some(one)), Some(Reason::Caller)),
            (0, of_one.as_str(), facts(1, None, Some(other)), None),
            (5, of_one.as_str(), facts(6, None, Some(other)), Some(Reason::Recipients)),
        ];
        for (above, callers, facts, expected) in table {
            let rule = ApprovalRule::parse(above, callers).unwrap();
            assert_eq!(rule.reason(&facts), expected, "{above} {callers} {facts:?}");
            assert_eq!(rule.is_off(), above == 0 && callers.is_empty());
        }
    }

    #[test]
    fn the_rule_applies_to_what_costs_more_than_its_limit() {
        let facts = |recipients, cost_micros| Facts {
            recipients,
            cost_micros,
            role: Some(Role::Admin),
            key: None,
        };
        let rule = ApprovalRule::parse(5, "").unwrap().with_cost(100);
        assert_eq!(rule.reason(&facts(5, 100_000_000)), None);
        assert_eq!(rule.reason(&facts(5, 100_000_001)), Some(Reason::Cost));
        assert_eq!(rule.reason(&facts(6, 0)), Some(Reason::Recipients));
        assert!(!rule.is_off() && !ApprovalRule::default().with_cost(1).is_off());
        let changed = rule.overridden(Some(0), Some("key"));
        assert_eq!(
            changed,
            ApprovalRule::parse(0, "key").unwrap().with_cost(100)
        );
        let mut env = Env::from_pairs([("APPROVAL_ABOVE_COST", "100")]);
        let read = ApprovalRule::from_env(&mut env);
        assert_eq!(
            env.finish(read).unwrap(),
            ApprovalRule::default().with_cost(100)
        );
    }

    #[test]
    fn callers_that_nobody_is_are_named() {
        for (given, wrong) in [
            ("operators", "operators"),
            ("admin,key:1", "key:1"),
            ("role:admin", "role:admin"),
        ] {
            assert_eq!(ApprovalRule::parse(0, given), Err(wrong.to_owned()));
        }
        let mut env = Env::from_pairs([("APPROVAL_ROLES", "operators"), ("APPROVAL_ABOVE", "x")]);
        let rule = ApprovalRule::from_env(&mut env);
        let error = env
            .finish(rule)
            .map_err(|error| error.to_string())
            .unwrap_err();
        assert!(error.contains("APPROVAL_ROLES has `operators`"), "{error}");
        assert!(error.contains("APPROVAL_ABOVE is `x`"), "{error}");
    }

    #[test]
    fn run_time_settings_replace_what_was_deployed() {
        let deployed = ApprovalRule::parse(10, "admin").unwrap();
        let rule = |above, callers| ApprovalRule::parse(above, callers).unwrap();
        assert_eq!(deployed.overridden(None, None), deployed);
        assert_eq!(deployed.overridden(Some(0), None), rule(0, "admin"));
        assert_eq!(deployed.overridden(None, Some("key")), rule(10, "key"));
        assert_eq!(
            deployed.overridden(Some(0), Some("")),
            ApprovalRule::default()
        );
        assert_eq!(
            deployed.overridden(Some(7), Some("nobody")),
            rule(7, "admin")
        );
    }
}
