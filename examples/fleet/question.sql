with snapshots as (
  -- Which class grew with release 42, and on which pods? Which pod is odd, whatever the release?
  select release, pod, snapshot, class, sum(c.count) as objects, sum(retained_size) as bytes
  from classes c where release <= 42 group by release, pod, snapshot, class
),
-- The most that a pod had of a class, in each release.
levels as (
  select release, pod, class, max(objects) as objects, max(bytes) as bytes
  from snapshots group by release, pod, class
),
-- The most that any pod had before. Pods have other names after a rollout.
earlier as (
  select class, max(objects) as objects, max(bytes) as bytes from levels where release < 42 group by class
),
grew as (
  select l.pod, l.class, coalesce(e.objects, 0) as usual, l.objects, l.bytes - coalesce(e.bytes, 0) as bytes
  from levels l left join earlier e on e.class = l.class
  where l.release = 42 and l.objects > 2 * coalesce(e.objects, 0)
),
-- What half of the pods of the same release have. A class that fewer than half have is usual on none.
fleet as (
  select release, count(distinct pod) as pods from levels group by release
),
lives as (
  select pod, count(distinct release) as releases from levels group by pod
),
usual as (
  select l.release, l.class,
         case when 2 * count(*) > max(f.pods) then median(l.objects) else 0 end as objects,
         case when 2 * count(*) > max(f.pods) then median(l.bytes) else 0 end as bytes
  from levels l join fleet f on f.release = l.release group by l.release, l.class
),
odd as (
  select l.pod, l.class, max(u.objects) as usual, max(l.objects) as objects, max(l.bytes - u.bytes) as bytes
  from levels l join usual u on u.release = l.release and u.class = l.class join lives on lives.pod = l.pod
  where l.objects > 3 * u.objects
  group by l.pod, l.class having count(*) = max(lives.releases)
)
select 'grew with 42' as finding, class, pod, usual, objects, bytes from grew where bytes > 100000
union all
select 'odd pod', class, pod, usual, objects, bytes from odd where bytes > 100000
order by finding, bytes desc, class, pod
