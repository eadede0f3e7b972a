//! Decides when a pause is logged: when it begins and ends, and each minute while it lasts. Pure.

use std::time::Duration;

use tokio::time::Instant;

/// One that lasts, or comes back, is said again after this long.
const AGAIN_AFTER: Duration = Duration::from_secs(60);

/// What was said last of one thing that can pause.
#[derive(Debug, Clone, Default)]
pub(super) struct Said {
    last: Option<(String, Instant)>,
    /// The end of it was not said yet.
    open: bool,
}

/// The line to write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Line {
    Paused,
    GoingOn,
    Nothing,
}

// === impl Said ===

impl Said {
    /// Something is held back for this reason now, or is not. A reason that comes and goes, as where pages are written
    /// and a look at the index between them is refused, is said once a minute.
    pub(super) fn line(&mut self, reason: Option<&str>, now: Instant) -> Line {
        let Some(reason) = reason else {
            return if std::mem::take(&mut self.open) { Line::GoingOn } else { Line::Nothing };
        };
        let recent = |(last, at): &(String, Instant)| last == reason && now.duration_since(*at) < AGAIN_AFTER;
        if self.last.as_ref().is_some_and(recent) {
            return Line::Nothing;
        }
        self.last = Some((reason.to_owned(), now));
        self.open = true;
        Line::Paused
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn what_comes_and_goes_is_a_pair_of_lines_a_minute() {
        let (mut said, start) = (Said::default(), Instant::now());
        let mut lines = Vec::new();
        for second in 0..120 {
            let now = start + Duration::from_secs(second);
            lines.push(said.line(Some("a look is refused"), now));
            lines.push(said.line(None, now));
        }
        lines.retain(|line| *line != Line::Nothing);
        assert_eq!(lines, [Line::Paused, Line::GoingOn, Line::Paused, Line::GoingOn]);
    }

    #[tokio::test(start_paused = true)]
    async fn what_lasts_is_said_each_minute_and_another_reason_at_once() {
        let (mut said, start) = (Said::default(), Instant::now());
        let mut at = |second, reason| said.line(reason, start + Duration::from_secs(second));
        let rows = [
            (0, Some("a"), Line::Paused),
            (1, Some("a"), Line::Nothing),
            (2, Some("b"), Line::Paused),
            (61, Some("b"), Line::Nothing),
            (62, Some("b"), Line::Paused),
            (63, None, Line::GoingOn),
            (64, None, Line::Nothing),
        ];
        for (second, reason, expected) in rows {
            assert_eq!(at(second, reason), expected, "{second}");
        }
    }
}
