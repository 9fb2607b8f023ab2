//! What was delivered last before the broker went down: nobody knows whether it was answered.

use super::GroupQueue;
use crate::ids::TimeMs;

impl GroupQueue {
    /// Whether the broker renews a message that is hidden until `hidden_until_min` or longer.
    pub fn has_renewed_until(&self, hidden_until_min: TimeMs) -> bool {
        self.renewed_until(hidden_until_min).next().is_some()
    }

    /// Makes visible at `visible_at`, or earlier, what the broker renews and hides until `hidden_until_min` or longer;
    /// answers how many messages. Their deliveries go on.
    pub(in crate::state) fn bound_renewed(
        &mut self,
        hidden_until_min: TimeMs,
        now: TimeMs,
        visible_at: TimeMs,
    ) -> u32 {
        let hidden_until_min = hidden_until_min.max(now.max(visible_at).saturating_add(1));
        let renewed: Vec<u64> = self.renewed_until(hidden_until_min).collect();
        for offset in &renewed {
            if let Some(pending) = self.pending.get_mut(offset) {
                self.by_visibility.remove(pending.visible_at, *offset);
                pending.visible_at = visible_at;
                self.by_visibility.insert(visible_at, *offset);
            }
        }
        renewed.len() as u32
    }

    fn renewed_until(&self, hidden_until_min: TimeMs) -> impl Iterator<Item = u64> {
        let hidden = self.by_visibility.since(hidden_until_min);
        hidden.map(|(_, offset)| offset.0).filter(|offset| {
            let pending = self.pending.get(offset);
            pending
                .and_then(|pending| self.deliveries.get(&pending.delivery))
                .is_some_and(|delivery| delivery.auto_renew)
        })
    }
}
