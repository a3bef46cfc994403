//! Counts by call site, by stack and by map: how readings of them are added and subtracted.

use std::collections::BTreeMap;

use super::counts::{Frames, MapRows, Rows, SiteRows};

/// Call sites or stacks of many readings as one: those with the same frames and type are the same.
pub(super) fn add_sites(sites: &mut Vec<SiteRows>, more: &[SiteRows]) {
    let both = std::mem::take(sites)
        .into_iter()
        .chain(more.iter().cloned());
    *sites = sites_of(both.map(|site| (site.frames, site.typ, site.rows)));
}

/// What was counted after `earlier`, an older reading of the same counters.
pub(super) fn sites_since(later: &[SiteRows], earlier: &[SiteRows]) -> Vec<SiteRows> {
    let key = |site: &'_ SiteRows| (site.frames.clone(), site.typ.clone());
    let before: BTreeMap<_, _> = earlier.iter().map(|site| (key(site), &site.rows)).collect();
    sites_of(later.iter().map(|site| {
        let rows = match before.get(&key(site)) {
            Some(before) => site.rows.since(before),
            None => site.rows.clone(),
        };
        (site.frames.clone(), site.typ.clone(), rows)
    }))
}

/// Call sites or stacks with operations, most of them first.
pub fn sites_of(
    sites: impl IntoIterator<Item = (Option<Frames>, Option<String>, Rows)>,
) -> Vec<SiteRows> {
    let mut by_key: BTreeMap<(Option<Frames>, Option<String>), Rows> = BTreeMap::new();
    for (frames, typ, rows) in sites {
        by_key.entry((frames, typ)).or_default().add(&rows);
    }
    let sites = by_key.into_iter().filter(|(_, rows)| rows.total() > 0);
    let mut sites: Vec<_> = sites
        .map(|((frames, typ), rows)| SiteRows { frames, typ, rows })
        .collect();
    sites.sort_by_key(|site| std::cmp::Reverse(site.rows.total()));
    sites
}

type MapKey = (Option<u64>, Option<String>);

fn map_key(map: &MapRows) -> MapKey {
    (map.address, map.typ.clone())
}

/// Maps of many readings as one: those at the same address and of the same type are the same.
pub fn add_maps(maps: &mut Vec<MapRows>, more: &[MapRows]) {
    let mut by_key: BTreeMap<MapKey, MapRows> = BTreeMap::new();
    for map in std::mem::take(maps).into_iter().chain(more.iter().cloned()) {
        let key = map_key(&map);
        match by_key.get_mut(&key) {
            None => {
                by_key.insert(key, map);
            }
            Some(known) => {
                known.rows.add(&map.rows);
                known.first_seen = known.first_seen.min(map.first_seen);
                if map.last_seen >= known.last_seen {
                    known.last_seen = map.last_seen;
                    known.size = map.size.or(known.size);
                }
            }
        }
    }
    *maps = by_key.into_values().collect();
    sort_maps(maps);
}

/// What was counted after `earlier`, an older reading of the same counters. `operations` are all of that time: if
/// there are any of maps that found no room, they are what is left of it.
pub(super) fn maps_since(
    later: &[MapRows],
    earlier: &[MapRows],
    operations: &Rows,
) -> Vec<MapRows> {
    let before: BTreeMap<_, _> = earlier
        .iter()
        .map(|map| (map_key(map), &map.rows))
        .collect();
    let named = later.iter().filter(|map| map.address.is_some());
    let mut maps: Vec<_> = named
        .map(|map| MapRows {
            rows: match before.get(&map_key(map)) {
                Some(before) => map.rows.since(before),
                None => map.rows.clone(),
            },
            ..map.clone()
        })
        .filter(|map| map.rows.total() > 0)
        .collect();
    if let Some(rest) = later.iter().find(|map| map.address.is_none()) {
        add_rest(&mut maps, operations, rest);
    }
    sort_maps(&mut maps);
    maps
}

/// Adds those of `operations` that are in no row, if there are any; when they were seen is as `like` says.
pub fn add_rest(maps: &mut Vec<MapRows>, operations: &Rows, like: &MapRows) {
    let mut named = Rows::default();
    for map in maps.iter() {
        named.add(&map.rows);
    }
    let rows = operations.since(&named);
    if rows.total() > 0 {
        maps.push(MapRows {
            address: None,
            typ: None,
            size: None,
            rows,
            ..*like
        });
    }
}

/// Most operations first, then by address.
pub fn sort_maps(maps: &mut [MapRows]) {
    maps.sort_by_cached_key(|map| (std::cmp::Reverse(map.rows.total()), map.address));
}
