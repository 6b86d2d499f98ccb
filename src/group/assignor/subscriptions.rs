//! Who subscribes to what, by places in lists: members that subscribe to the same are looked at as one.

use super::{Candidate, Problem, Topic};
use std::collections::{BTreeSet, HashMap};
use std::rc::Rc;
use uuid::Uuid;

pub struct Subscriptions<'a> {
    /// In the order of their ids.
    pub subjects: Vec<Subject<'a>>,
    pub classes: Vec<Class>,
    /// The class of each member.
    pub class_of: Vec<usize>,
    places: HashMap<Uuid, usize>,
}

/// A topic, and who may have it.
pub struct Subject<'a> {
    pub id: Uuid,
    pub topic: &'a Topic,
    pub classes: Vec<usize>,
    /// How many members these have.
    pub subscribers: usize,
}

/// Members that subscribe to the same topics.
pub struct Class {
    pub topics: Vec<usize>,
    pub members: Vec<usize>,
}

impl<'a> Subscriptions<'a> {
    /// Of these members, in their order.
    pub fn new<'m>(problem: &'a Problem, members: impl Iterator<Item = &'m Candidate>) -> Self {
        let subject = |(id, topic): (&Uuid, &'a Topic)| Subject { id: *id, topic, classes: Vec::new(), subscribers: 0 };
        let subjects: Vec<_> = problem.topics.iter().map(subject).collect();
        let places = subjects.iter().zip(0..).map(|(subject, place)| (subject.id, place)).collect();
        let mut subscriptions = Self { subjects, classes: Vec::new(), class_of: Vec::new(), places };
        let mut known: HashMap<*const BTreeSet<Uuid>, usize> = HashMap::new();
        for (place, member) in members.enumerate() {
            let class = *known.entry(Rc::as_ptr(&member.topics)).or_insert_with(|| subscriptions.class(&member.topics));
            subscriptions.classes[class].members.push(place);
            subscriptions.class_of.push(class);
        }
        for subject in &mut subscriptions.subjects {
            subject.subscribers = subject.classes.iter().map(|class| subscriptions.classes[*class].members.len()).sum();
        }
        subscriptions
    }

    fn class(&mut self, topics: &BTreeSet<Uuid>) -> usize {
        let class = self.classes.len();
        let topics: Vec<usize> = topics.iter().filter_map(|id| self.place(*id)).collect();
        topics.iter().for_each(|topic| self.subjects[*topic].classes.push(class));
        self.classes.push(Class { topics, members: Vec::new() });
        class
    }

    pub fn place(&self, topic: Uuid) -> Option<usize> {
        self.places.get(&topic).copied()
    }

    /// Every topic is for everybody, or for nobody.
    pub fn is_homogeneous(&self) -> bool {
        self.subjects.iter().all(|subject| subject.subscribers == 0 || self.is_for_everybody(subject))
    }

    pub fn is_for_everybody(&self, subject: &Subject<'_>) -> bool {
        subject.subscribers == self.class_of.len()
    }

    pub fn subscribers(&self, topic: usize) -> impl Iterator<Item = usize> {
        self.subjects[topic].classes.iter().flat_map(|class| self.classes[*class].members.iter().copied())
    }
}
