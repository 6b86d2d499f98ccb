use super::*;

fn topic(number: u128) -> Uuid {
    Uuid::from_u128(number)
}

fn problem(topics: &[i32], members: &[(&str, &[u128])]) -> Problem {
    let topics = topics
        .iter()
        .zip(1..)
        .map(|(partitions, id)| (topic(id), Topic { partitions: *partitions, ..Default::default() }));
    let members = members.iter().map(|(id, subscribed)| {
        let topics: BTreeSet<_> = subscribed.iter().map(|number| topic(*number)).collect();
        (Str::from(*id), Candidate { topics: topics.into(), ..Default::default() })
    });
    Problem { members: members.collect(), topics: topics.collect() }
}

fn loads(assignment: &BTreeMap<Str, Partitions>) -> Vec<usize> {
    assignment.values().map(|topics| topics.values().map(BTreeSet::len).sum()).collect()
}

fn moved(before: &BTreeMap<Str, Partitions>, after: &BTreeMap<Str, Partitions>) -> usize {
    let kept = |(id, topics): (&Str, &Partitions)| -> usize {
        let had = |topic: &Uuid, index: &i32| {
            before.get(id).and_then(|topics| topics.get(topic)).is_some_and(|partitions| partitions.contains(index))
        };
        topics
            .iter()
            .flat_map(|(topic, indexes)| indexes.iter().map(move |index| (topic, index)))
            .filter(|(t, i)| !had(t, i))
            .count()
    };
    after.iter().map(kept).sum()
}

fn next(mut problem: Problem, before: &BTreeMap<Str, Partitions>) -> Problem {
    for (id, member) in &mut problem.members {
        member.target = before.get(id).cloned().unwrap_or_default();
    }
    problem
}

#[test]
fn range_gives_runs_and_the_first_members_one_more() {
    let solved = Assignor::Range.assign(&problem(&[5, 3], &[("a", &[1, 2]), ("b", &[1])]));
    assert_eq!(solved["a"][&topic(1)], BTreeSet::from([0, 1, 2]));
    assert_eq!(solved["b"][&topic(1)], BTreeSet::from([3, 4]));
    assert_eq!(solved["a"][&topic(2)], BTreeSet::from([0, 1, 2]));
}

#[test]
fn range_puts_static_members_in_the_order_of_their_instances() {
    let mut asked = problem(&[2], &[("a", &[1]), ("b", &[1])]);
    asked.members.get_mut("b").unwrap().instance = Some("0".into());
    assert_eq!(Assignor::Range.assign(&asked)["b"][&topic(1)], BTreeSet::from([0]));
}

#[test]
fn uniform_is_even_and_keeps_what_it_can() {
    let asked = problem(&[6, 4], &[("a", &[1, 2]), ("b", &[1, 2]), ("c", &[1, 2])]);
    let first = Assignor::Uniform.assign(&asked);
    assert_eq!(loads(&first), [4, 3, 3]);
    let again = Assignor::Uniform.assign(&next(asked, &first));
    assert_eq!(again, first);
    let grown = problem(&[6, 4], &[("a", &[1, 2]), ("b", &[1, 2]), ("c", &[1, 2]), ("d", &[1, 2])]);
    let fourth = Assignor::Uniform.assign(&next(grown, &first));
    assert_eq!((loads(&fourth), moved(&first, &fourth)), (vec![3, 3, 2, 2], 2));
    let shrunk = problem(&[6, 4], &[("a", &[1, 2]), ("b", &[1, 2])]);
    let second = Assignor::Uniform.assign(&next(shrunk, &first));
    assert_eq!((loads(&second), moved(&first, &second)), (vec![5, 5], 3));
}

#[test]
fn uniform_evens_out_where_subscriptions_differ() {
    let solved = Assignor::Uniform.assign(&problem(&[4, 4], &[("a", &[1]), ("b", &[1, 2]), ("c", &[1, 2])]));
    assert_eq!(loads(&solved), [3, 3, 2]);
    let skewed = BTreeMap::from([(Str::from("b"), BTreeMap::from([(topic(1), (0..4).collect::<BTreeSet<_>>())]))]);
    let asked = next(problem(&[4], &[("a", &[1]), ("b", &[1, 2])]), &skewed);
    assert_eq!(loads(&Assignor::Uniform.assign(&asked)), [2, 2]);
}

#[test]
fn uniform_prefers_the_rack_of_a_replica() {
    let mut asked = problem(&[2], &[("a", &[1]), ("b", &[1])]);
    for (id, rack) in [("a", "west"), ("b", "east")] {
        asked.members.get_mut(id).unwrap().rack = Some(rack.into());
    }
    let racks = [(0, "east"), (1, "west")];
    asked.topics.get_mut(&topic(1)).unwrap().racks =
        racks.into_iter().map(|(index, rack)| (index, BTreeSet::from([rack.into()]))).collect();
    assert_eq!(Assignor::Uniform.assign(&asked)["b"][&topic(1)], BTreeSet::from([0]));
}

fn dice() -> impl FnMut(u64) -> u64 {
    let mut random = 7_u64;
    move |max| {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (random >> 33) % max
    }
}

#[test]
fn every_assignment_is_legal_whatever_is_asked() {
    let mut below = dice();
    for _ in 0..500 {
        let topics: Vec<i32> = (0..below(4)).map(|_| below(9) as i32).collect();
        let mut asked = problem(&topics, &[]);
        for member in 0..below(6) {
            let wanted: BTreeSet<_> = (0..below(4)).map(|_| topic(1 + u128::from(below(4)))).collect();
            let target = BTreeMap::from([(topic(1), (0..below(9) as i32).collect())]);
            asked
                .members
                .insert(format!("m{member}").into(), Candidate { topics: wanted.into(), target, ..Default::default() });
        }
        for assignor in [Assignor::Uniform, Assignor::Range] {
            let solved = assignor.assign(&asked);
            assert!(asked.is_solved_by(&solved), "{assignor:?} {asked:?} {solved:?}");
        }
    }
}

/// Members and topics of any kind, and what the members have so far.
fn random_problem(below: &mut impl FnMut(u64) -> u64) -> Problem {
    let topics: Vec<i32> = (0..1 + below(12)).map(|_| below(30) as i32).collect();
    let mut asked = problem(&topics, &[]);
    for member in 0..1 + below(20) {
        let wanted: BTreeSet<_> = (0..1 + below(5)).map(|_| topic(1 + u128::from(below(12)))).collect();
        let target = (0..below(3)).map(|_| (topic(1 + u128::from(below(12))), (0..below(30) as i32).collect()));
        let target = target.collect();
        asked
            .members
            .insert(format!("m{member}").into(), Candidate { topics: wanted.into(), target, ..Default::default() });
    }
    asked
}

#[test]
fn no_move_makes_a_uniform_assignment_more_even() {
    let mut below = dice();
    for _ in 0..500 {
        let asked = random_problem(&mut below);
        let solved = Assignor::Uniform.assign(&asked);
        let load = |id: &Str| solved[id].values().map(BTreeSet::len).sum::<usize>();
        for (id, topics) in &solved {
            let takers = topics.keys().flat_map(|topic| asked.subscribers(*topic));
            let least = takers.map(|(taker, _)| load(taker)).min().unwrap_or(usize::MAX);
            assert!(
                load(id) <= least.saturating_add(1),
                "{id} has {}, another {least}: {asked:?} {solved:?}",
                load(id)
            );
        }
    }
}

#[test]
fn a_uniform_assignment_that_nothing_has_happened_to_stays() {
    let mut below = dice();
    for _ in 0..500 {
        let asked = random_problem(&mut below);
        let solved = Assignor::Uniform.assign(&asked);
        assert_eq!(Assignor::Uniform.assign(&next(asked, &solved)), solved);
    }
}
