//! Stories: the real daemon, real clients, real HTTP and real git, in a sandbox world.
//!
//! A story is told in the words of the domain and waits for what a person would see: files, commits, tags, deployments.

mod people;
mod places;
mod world;

mod approval;
mod bad_git;
mod bad_gitlab;
mod bad_policy;
mod bad_registry;
mod brake;
mod by_hand;
mod calendar;
mod carry;
mod checkpoint;
mod commands;
mod deeper;
mod doctor;
mod ecr;
mod ecr_identity;
mod failure;
mod first_meeting;
mod git_tag;
mod health;
mod hold;
mod keep;
mod limits;
mod many_tags;
mod memory_lost;
mod moved_tag;
mod new_tag;
mod numbers;
mod odd_files;
mod overtaking;
mod platforms;
mod promotion;
mod push_times;
mod queue;
mod quiet;
mod recipes;
mod registry_faults;
mod restart;
mod rollback;
mod set;
mod slow;
mod verdict;
mod way_back;
mod webhooks;
mod without_daemon;
