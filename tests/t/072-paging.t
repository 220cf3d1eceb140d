# A hundred thousand tags, and as many repositories: with any n from 1 to 1000 a walk along the pages meets each name
# once and in order, while others are pushed and deleted in between.
#
# REGISTRY_NAMES is how many there are (100000).
use v5.36;
use Registry limit => 600;
use Registry::Checks;
use Registry::Tools;
use Test::More;
use Time::HiRes qw(time);

my $names    = $ENV{REGISTRY_NAMES} // 100_000;
my $clients  = 4;
my $per_put  = 16;
my %TYPE     = %Registry::Client::TYPE;
my $document = json_of({ schemaVersion => 2, mediaType => $TYPE{index}, manifests => [] });
my %push     = (body => $document, headers => { 'Content-Type' => $TYPE{index} });
my $path     = '/v2/many/tags/manifests/' . digest($document);

# Nothing here is about disks: in memory, where there is room for it, it takes a third of the time.
sub place () {
    my $free = (run([ 'df', '-Pk', '/dev/shm' ])->{out} =~ /(\d+)\s+\d+%\s+\S+\n\z/)[0] // 0;
    local $ENV{TMPDIR} = '/dev/shm' if -w '/dev/shm' && $free > 2 << 20;
    return tempdir() . '/data';
}
my @args     = (args => [ '--max-tags', 0, '--max-repositories', 0 ]);
my $registry = Registry->start(dir => place(), @args);
note('in ' . $registry->dir);

# Names of which many are the beginnings of others; no repository is another's.
my @tags  = map { "v$_" } 1 .. $names - 1, 'x';
my @repos = map { $_ % 3 ? 'r' . int($_ / 3) . ('', '', '/a')[ $_ % 3 ] : 'r' . int($_ / 3) . '-b' } 1 .. $names;
my @listed = (@repos, 'many/tags');

sub took ($since) { return sprintf '%.1f s', time - $since }

# Pushes what is in its share; returns the first answer that isn't as it should be, or ''.
sub push_all ($what, @requests) {
    my $since   = time;
    my @answers = in_parallel($clients, 400, sub ($i) {
        my $connection = $registry->connect;
        for (my $at = $i; $at < @requests; $at += $clients) {
            my $response = $registry->put($requests[$at], %push, on => $connection);
            return $response->describe if $response->status != 201;
        }
        return '';
    });
    is_deeply(\@answers, [ ('') x $clients ], $what);
    note("$what in " . took($since));
    return;
}

push_all("$names tags are pushed, $per_put at a time",
    map { my $at = $_ * $per_put; "$path?" . join '&', map { "tag=$_" } grep { defined } @tags[ $at .. $at + $per_put - 1 ] } 0 .. int($#tags / $per_put));
push_all("$names repositories are pushed", map { "/v2/$_/manifests/x" } @repos);

# ---- those that come and go ----

# Pushes and deletes until the file is gone: names that are neither the first nor the last, and stay for a moment.
sub disturb ($stop) {
    my $connection = $registry->connect;
    my ($n, @there) = (0);
    while (-e $stop) {
        my $some = int rand $names;
        my @new  = ("/v2/many/tags/manifests/v${some}_passing$n", "/v2/r$some-passing$n/manifests/" . digest($document));
        for my $target (@new) {
            $n++ if $registry->put($target, %push, on => $connection)->status == 201;
        }
        push @there, @new;
        $registry->delete(shift @there, on => $connection) while @there > 200;
    }
    return $n;
}

# ---- the walk ----

# Follows the Link headers, with each n of the list once, and from the beginning again when the end has come. Returns what was
# wrong, the passes, and how many passing names it met.
sub walk ($list, $member, $names, @sizes) {
    my $connection = $registry->connect;
    my %wanted     = map { $_ => 1 } @$names;
    my ($passes, $passing, $at, $next, $seen, $last) = (0, 0, 0, $list, 0, '');
    while (@sizes || $at) {
        my $n        = shift @sizes // 1000;
        my $response = $registry->get($next =~ s/\?.*//r . "?n=$n" . ($next =~ /(&last=[^&]*)/ ? $1 : ''), on => $connection);
        my ($inside) = $response->content =~ /"$member":\s*\[(.*?)\]/ or return "n=$n: " . $response->describe;
        my @page = $inside =~ /"([^"]+)"/g;
        ($next) = ($response->header('Link') // '') =~ /^<([^>]*)>; rel="next"$/;
        return "n=$n: " . @page . ' names' if @page > $n || (defined $next && @page != $n);
        return "n=$n: Link $next" if defined $next && $next !~ /\?n=$n&last=/;
        for my $name (@page) {
            return "n=$n: $name behind $last" if $name le $last;
            $last = $name;
            $wanted{$name} ? $seen++ : $name =~ /passing/ ? $passing++ : return "n=$n: $name";
        }
        $at = 1;
        next if defined $next;
        return "$seen of " . @$names . " names in pass $passes" if $seen != @$names;
        ($at, $next, $seen, $last) = (0, $list, 0, '');
        $passes++;
    }
    return ('', $passes, $passing);
}

# All from 1 to 1000, large and small ones mixed.
my @sizes = map { ($_, 1001 - $_) } 1 .. 500;
my $stop  = spew(tempdir() . '/go', '');
my $since = time;
my @walks = in_parallel(3, 400, sub ($i) {
    return disturb($stop) if $i == 2;
    my @result = eval { $i == 0 ? walk('/v2/many/tags/tags/list', 'tags', \@tags, @sizes) : walk('/v2/_catalog', 'repositories', \@listed, @sizes) };
    unlink $stop if $@ || -e "$stop.one";
    spew("$stop.one", '');
    return [ $@, @result ];
});
note('both walks in ' . took($since));
for my $i (0, 1) {
    my ($died, $wrong, $passes, $passing) = @{ $walks[$i] // ['no answer'] };
    is($died || $wrong, '', ('tags', 'repositories')[$i] . ': each once, and in order, with each n from 1 to 1000');
    cmp_ok($passes // 0, '>=', 5, '... in ' . ($passes // 0) . ' passes') if $names <= 100_000;
    cmp_ok($passing // 0, '>', 0, '... and of the others some');
}
cmp_ok($walks[2] // 0, '>', 10, ($walks[2] // 0) . ' others were pushed and deleted meanwhile');

# What the last pages cost is what the first ones do, with a wide margin.
sub cost (@paths) {
    my $connection = $registry->connect;
    my @times = sort { $a <=> $b } map { my $at = time; $registry->get($paths[ $_ % @paths ], on => $connection); time - $at } 1 .. 60;
    return $times[30];
}
my ($first, $last) = (cost('/v2/many/tags/tags/list?n=100'), cost('/v2/many/tags/tags/list?n=100&last=v98'));
cmp_ok($last, '<', 0.005 + 5 * $first, sprintf 'a page near the end takes %.1f ms, one at the beginning %.1f', 1000 * $last, 1000 * $first);

$since = time;
$registry->stop;
my $again = Registry->start(dir => $registry->dir, @args);
is(scalar @{ $again->get('/v2/_catalog?n=1000')->json->{repositories} }, 1000, 'a restart with all of them');
note('restarted in ' . took($since));
finish();
