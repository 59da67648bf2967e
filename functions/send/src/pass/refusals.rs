//! The refused requests of a pass (4xx texts that may concern one number): smaller requests, until
//! a number is refused alone, and what that proves. Pure.
//!
//! A number that is refused alone is REJECTD only if the carrier accepts others: otherwise it may
//! refuse everybody, for example because the credit is used up. So the decision is made at the end
//! of the pass.

use super::requests::Request;

/// Refused requests after which a pass stops that has not seen an acceptance.
const MOST_WITHOUT_ACCEPTANCE: u32 = 2;
/// Refused requests in a row after which a pass stops although others were accepted before: more
/// than those that one bad number causes.
const MOST_IN_A_ROW: u32 = 10;
/// At the end of a pass, numbers of at most this many refused requests since the last acceptance
/// are believed to be refused on their own account.
const BELIEVED_IN_A_ROW: u32 = 3;

/// A number that was refused alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefusedAlone {
    /// Its place in the rows of the batch.
    pub at: usize,
    /// The carrier's text.
    pub reason: String,
}

/// What to do after a refused request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AfterRefusal {
    /// Its numbers are sent again in requests of at most this size.
    Reduce(usize),
    /// Its number is set aside until the end of the pass.
    SetAside,
}

/// The refused requests of a pass.
#[derive(Debug, Default)]
pub struct Refusals {
    accepted: bool,
    in_a_row: u32,
    /// Refused before the last acceptance.
    proven: Vec<RefusedAlone>,
    /// Refused after the last acceptance.
    unproven: Vec<RefusedAlone>,
}

impl Refusals {
    /// Notes an accepted request: the refusals before it concern their numbers only.
    pub fn on_accepted(&mut self) {
        self.accepted = true;
        self.in_a_row = 0;
        self.proven.append(&mut self.unproven);
    }

    /// Notes a refused request.
    pub fn on_refused(&mut self, request: &Request, reason: String) -> AfterRefusal {
        self.in_a_row += 1;
        if let &[at] = request.as_slice() {
            self.unproven.push(RefusedAlone { at, reason });
            return AfterRefusal::SetAside;
        }
        AfterRefusal::Reduce(if request.len() > 10 { 10 } else { 1 })
    }

    /// Returns whether the pass has to stop: the carrier seems to refuse everybody.
    pub const fn refuses_all(&self) -> bool {
        let most = if self.accepted {
            MOST_IN_A_ROW
        } else {
            MOST_WITHOUT_ACCEPTANCE
        };
        self.in_a_row >= most
    }

    /// Takes the numbers that end REJECTD, at the end of the pass. The others are tried again by a
    /// later pass.
    pub fn take_rejected(&mut self) -> Vec<RefusedAlone> {
        if self.accepted && self.in_a_row <= BELIEVED_IN_A_ROW {
            self.proven.append(&mut self.unproven);
        }
        std::mem::take(&mut self.proven)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refuse(refusals: &mut Refusals, request: &[usize]) -> AfterRefusal {
        refusals.on_refused(&request.to_vec(), "400 no".to_owned())
    }

    fn rejected(refusals: &mut Refusals) -> Vec<usize> {
        let rejected = refusals.take_rejected();
        rejected.iter().map(|number| number.at).collect()
    }

    #[test]
    fn a_refused_request_is_divided_until_a_number_is_refused_alone() {
        let mut refusals = Refusals::default();
        let many: Vec<_> = (0..100).collect();
        assert_eq!(refuse(&mut refusals, &many), AfterRefusal::Reduce(10));
        assert_eq!(refuse(&mut refusals, &many[..10]), AfterRefusal::Reduce(1));
        assert_eq!(refuse(&mut refusals, &[3, 4]), AfterRefusal::Reduce(1));
        assert_eq!(refuse(&mut refusals, &[3]), AfterRefusal::SetAside);
    }

    #[test]
    fn without_an_acceptance_nobody_is_rejected_and_two_refusals_stop_the_pass() {
        let mut refusals = Refusals::default();
        refuse(&mut refusals, &[0]);
        assert!(!refusals.refuses_all());
        refuse(&mut refusals, &[1]);
        assert!(refusals.refuses_all());
        assert!(rejected(&mut refusals).is_empty());
    }

    #[test]
    fn a_number_refused_among_accepted_ones_is_rejected() {
        let mut refusals = Refusals::default();
        refuse(&mut refusals, &[0, 1, 2]);
        refuse(&mut refusals, &[0]);
        refusals.on_accepted();
        refuse(&mut refusals, &[2]);
        assert!(!refusals.refuses_all());
        assert_eq!(rejected(&mut refusals), [0, 2]);
        assert!(rejected(&mut refusals).is_empty());
    }

    #[test]
    fn if_the_carrier_refuses_everybody_after_an_acceptance_nobody_more_is_rejected() {
        let mut refusals = Refusals::default();
        refuse(&mut refusals, &[9]);
        refusals.on_accepted();
        for at in 0..9 {
            refuse(&mut refusals, &[at]);
        }
        assert!(!refusals.refuses_all());
        refuse(&mut refusals, &[10]);
        assert!(refusals.refuses_all());
        assert_eq!(rejected(&mut refusals), [9]);
    }
}
