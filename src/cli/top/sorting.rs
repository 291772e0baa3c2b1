//! The order of the banks on the screen.

use super::figures::BankFigures;
use std::cmp::Reverse;

/// A column, and a direction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct SortOrder {
    pub by: SortColumn,
    /// The least, or the last, comes first.
    pub is_reversed: bool,
}

/// The columns that banks can be sorted by; all but the position begin with the greatest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SortColumn {
    Position,
    Committed,
    Latency,
    Undecided,
    UnderWay,
    Syncs,
    Held,
}

impl Default for SortOrder {
    fn default() -> SortOrder {
        SortOrder { by: SortColumn::Position, is_reversed: false }
    }
}

impl SortOrder {
    /// The order by the next column.
    pub(super) fn next(self) -> SortOrder {
        let by = match self.by {
            SortColumn::Position => SortColumn::Committed,
            SortColumn::Committed => SortColumn::Latency,
            SortColumn::Latency => SortColumn::Undecided,
            SortColumn::Undecided => SortColumn::UnderWay,
            SortColumn::UnderWay => SortColumn::Syncs,
            SortColumn::Syncs => SortColumn::Held,
            SortColumn::Held => SortColumn::Position,
        };
        SortOrder { by, is_reversed: false }
    }

    /// The same column in the other direction.
    pub(super) fn reversed(self) -> SortOrder {
        SortOrder { is_reversed: !self.is_reversed, ..self }
    }

    /// The banks in this order; equal ones by position.
    pub(super) fn sorted(self, banks: &[BankFigures]) -> Vec<&BankFigures> {
        let mut sorted: Vec<&BankFigures> = banks.iter().collect();
        let steps = |bank: &BankFigures| bank.steps.unwrap_or_default();
        match self.by {
            SortColumn::Position => sorted.sort_by_key(|bank| bank.bank),
            SortColumn::Committed => sorted.sort_by_key(|bank| Reverse(bank.committed_per_s)),
            SortColumn::Latency => {
                sorted.sort_by_key(|bank| Reverse(steps(bank).latency_us.map(|(_, most)| most)));
            }
            SortColumn::Undecided => sorted.sort_by_key(|bank| Reverse(bank.undecided)),
            SortColumn::UnderWay => sorted.sort_by_key(|bank| Reverse(steps(bank).under_way)),
            SortColumn::Syncs => sorted.sort_by_key(|bank| Reverse(steps(bank).syncs_per_s)),
            SortColumn::Held => sorted.sort_by_key(|bank| Reverse(bank.held)),
        }
        if self.is_reversed {
            sorted.reverse();
        }
        sorted
    }
}
