use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

/// A group whose workers all follow their plans.
#[derive(Debug, Default)]
struct Group {
    members: Vec<Member>,
    leases: BTreeMap<ShardId, Holder>,
    moves: BTreeMap<ShardId, u32>,
    started: u64,
}

impl Group {
    fn of(shards: usize, workers: usize) -> Group {
        let mut group = Group::default();
        for at in 0..shards {
            group.leases.insert(ShardId::new(format!("shard-{at:03}")), Holder::default());
        }
        for _ in 0..workers {
            group.join();
        }
        group.round(false);
        group.moves.clear();
        group
    }

    fn join(&mut self) {
        self.started += 1;
        // The order of ids has nothing to do with that of the starts.
        let id = WorkerId::new(format!("worker-{}-{}", self.started * 7_919 % 100, self.started));
        self.members.push(Member { id, started: self.started });
        self.members.sort_by(|left, right| left.id.cmp(&right.id));
    }

    fn stop_oldest(&mut self) {
        let oldest = self.members.iter().min_by_key(|member| member.started).unwrap().id.clone();
        self.members.retain(|member| member.id != oldest);
        for holder in self.leases.values_mut().filter(|holder| holder.owner.as_ref() == Some(&oldest)) {
            holder.owner = None;
        }
    }

    /// All plans are made of the same view, and then carried out.
    fn round(&mut self, settled: bool) -> usize {
        let view = self.leases.clone();
        let leases = || view.iter().map(|(shard, holder)| (shard, holder, true));
        let mut changes = 0;
        for member in &self.members {
            let plan = plan(&member.id, &self.members, leases(), settled);
            changes += plan.claim.len() + plan.release.len();
            for shard in plan.claim {
                let holder = self.leases.get_mut(&shard).unwrap();
                assert_eq!(holder.fence, view[&shard].fence, "{shard} is claimed by two");
                *holder = Holder { owner: Some(member.id.clone()), fence: holder.fence + 1 };
                *self.moves.entry(shard).or_default() += 1;
            }
            for shard in plan.release {
                self.leases.get_mut(&shard).unwrap().owner = None;
            }
        }
        changes
    }

    fn loads(&self) -> Vec<usize> {
        let load =
            |member: &Member| self.leases.values().filter(|holder| holder.owner.as_ref() == Some(&member.id)).count();
        self.members.iter().map(load).collect()
    }

    fn spread(&self) -> usize {
        let loads = self.loads();
        loads.iter().max().unwrap() - loads.iter().min().unwrap()
    }
}

#[test]
fn finished_shards_are_no_load_but_somebodys() {
    let group = Group::of(0, 2);
    let shards: Vec<ShardId> = (0..10).map(|at| ShardId::new(format!("s{at}"))).collect();
    let free = Holder::default();
    let leases = || shards.iter().enumerate().map(|(at, shard)| (shard, &free, at < 2));
    let plans: Vec<Plan> =
        group.members.iter().map(|member| plan(&member.id, &group.members, leases(), false)).collect();
    let open = |plan: &Plan| plan.claim.iter().filter(|shard| **shard == shards[0] || **shard == shards[1]).count();
    assert_eq!(plans.iter().map(open).collect::<Vec<_>>(), [1, 1]);
    assert_eq!(plans.iter().map(|plan| plan.claim.len()).sum::<usize>(), 10);
}

#[test]
fn a_worker_that_is_judged_dead_by_itself_takes_nothing() {
    let group = Group::of(3, 1);
    let leases = group.leases.iter().map(|(shard, holder)| (shard, holder, true));
    assert_eq!(plan(&WorkerId::new("nobody"), &group.members, leases, true), Plan::default());
}

proptest! {
    #[test]
    fn everything_is_claimed_once_and_evenly(shards in 0_usize..40, workers in 1_usize..8) {
        let mut group = Group::of(shards, workers);
        prop_assert!(group.leases.values().all(|holder| holder.owner.is_some()));
        prop_assert!(group.spread() <= 1, "{:?}", group.loads());
        prop_assert_eq!(group.round(true), 0, "nothing moves without a reason");
    }

    /// New workers are started, one by one or all at once, before old ones are stopped.
    #[test]
    fn a_rolling_deployment_moves_each_lease_once(shards in 1_usize..40, workers in 1_usize..8, at_once in 1_usize..8) {
        let mut group = Group::of(shards, workers);
        let mut left = workers;
        while left > 0 {
            let batch = at_once.min(left);
            for _ in 0..batch {
                group.join();
                group.round(false);
            }
            for _ in 0..batch {
                group.stop_oldest();
                group.round(false);
                group.round(false);
            }
            left -= batch;
        }
        prop_assert!(group.moves.values().all(|moves| *moves == 1), "{:?}", group.moves);
        prop_assert_eq!(group.moves.len(), shards);
    }

    /// Whoever comes and goes: once they are settled, all is read, evenly, and then nothing moves any more.
    #[test]
    fn balance_is_reached_and_kept(shards in 0_usize..40, events in proptest::collection::vec(any::<bool>(), 1..12)) {
        let mut group = Group::of(shards, 2);
        for joins in events {
            if joins || group.members.len() < 2 { group.join() } else { group.stop_oldest() }
            group.round(false);
        }
        let mut rounds = 0;
        while group.round(true) > 0 {
            rounds += 1;
            prop_assert!(rounds < 2 * shards + 4, "it never ends");
        }
        prop_assert!(group.spread() <= 1, "{:?}", group.loads());
        prop_assert!(group.leases.values().all(|holder| holder.owner.is_some()));
    }
}
