//! Stories: the real daemon, real clients, real HTTP and real git, in a sandbox world.
//!
//! A story is told in the words of the domain and waits for what a person would see: files, commits, tags, deployments.

mod world;

mod commands;
mod new_tag;
mod people;
mod promotion;
mod trouble;
