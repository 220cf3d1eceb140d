# The recipes of docker-registry-server-recipes(7), as they would be typed: adds a user, restricts a repository, writes a hook, puts
# back a backup and a tag, finds why the disk is full and frees it, and why a push is slow.
use v5.36;
use Registry limit => 200;
use Registry::Checks;
use Registry::Manual;
use Registry::Tools;
use Test::More;

BEGIN { need('curl') }

my $tmp  = tempdir();
my $root = "$tmp/root";
my $port = free_port();
mkdir $_ for $root, "$root/bin", "$root/backup";
chown scalar(getpwnam 'www-data'), -1, "$root/backup" if is_root();
symlink Registry->program, "$root/bin/docker-registry-server";
spew("$root/etc.conf", "dir = $root/data\nlisten = 127.0.0.1\nport = $port\nlease = 1s\ngc-interval = 1s\n");

# systemd, as far as the recipes need it.
my $registry;
spew("$root/bin/systemctl", <<~"END");
    #!/bin/sh
    echo "\$*" >>$root/systemctl.log
    until [ -e "$root/\$1.done" ]; do sleep 0.1; done
    END
chmod 0755, "$root/bin/systemctl";
sub start () { $registry = Registry->start(dir => "$root/data", listen => [], args => [ '--config', "$root/etc.conf" ], user => 'ann:secret', expected => qr/hook/) }

my %values = (conf => "$root/etc.conf", dir => "$root/data", at => "http://127.0.0.1:$port", backup => "$root/backup/registry");
my @begin  = map { my $line = $_; $line =~ s/^(\w+)=\S+$/$1=$values{$1}/; $line } manual_examples('recipes.7', 'DESCRIPTION');
is(scalar(grep { /\Q$root\E|127/ } @begin), 3, 'the values are at the top');

# Runs the section's commands, or those that begin and end with patterns. What is in their way fails here.
sub typed ($section, %o) {
    my @lines = map { s/^backup=\S+$/backup=$values{backup}/r } manual_examples('recipes.7', $section);
    my ($middle) = grep { $lines[$_] =~ ($o{from} // $o{to} // qr/^\z/) } 0 .. $#lines;
    @lines = @lines[ $middle .. $#lines ] if $o{from};
    @lines = @lines[ 0 .. $middle - 1 ]   if $o{to};
    my $ran = run([ 'sh', '-eu' ], stdin => join("\n", @begin, $o{from} ? "backup=$values{backup}" : (), @lines, ''), env => { PATH => "$root/bin:$ENV{PATH}" }, cwd => $root, timeout => 60);
    works($ran, lc $section);
    return $ran->{out};
}

start();
my ($base, $app, $old) = map { random_bytes($_) } 20_000, 30_000, 50_000;

subtest 'a user' => sub {
    is_status($registry->with(user => undef)->get('/v2/'), 200, 'at first everybody may come in');
    my $out = typed('ADD A USER');
    like($out, qr/^ann\b.*^bob\b.*^\{\}\s*\z/ms, 'they are listed, and the password is right');
    ok(wait_for(10, sub { $registry->with(user => undef)->get('/v2/')->status == 401 }), '... and everybody else is kept out');
};

subtest 'a repository' => sub {
    my $out = typed('RESTRICT A REPOSITORY');
    like($out, qr/allowed by.*denied by.*^bob may not$/ms, 'the program says who may');
    my $bob = $registry->with(user => 'bob:other');
    ok(wait_for(10, sub { $bob->post('/v2/team/app/blobs/uploads/')->status == 403 }), 'bob may not push there');
    is_status($bob->post('/v2/else/app/blobs/uploads/'), 202, '... but elsewhere');
    is_status($registry->push_image('team/app', 'latest', [ $base, $app ]), 201, 'ann may');
    is_status($registry->push_image('team/app', '1.0', [$base]), 201, '... by another tag, too');
    is_status($registry->push_image('team/old', '1', [ $base, $old ]), 201, '... and fill what nobody needs');
    is_status($bob->get('/v2/team/app/manifests/latest'), 200, 'bob may pull it');
};

subtest 'a hook' => sub {
    my $out = typed('DEPLOY AFTER A PUSH');
    like($out, qr{^deploying team/app:latest, sha256:\w{64}$}m, 'it was tried');
    is_status($registry->push_image('team/app', 'latest', [$app]), 201, 'a push');
    ok(wait_for(20, sub { $registry->output . $registry->log =~ m{deploying team/app:latest} }), '... runs it');
    like($out, qr/\{"hooks":\[.*"name":"tag","set":true/, 'curl may ask for what hooks have written');
    ok(wait_for(20, sub { $registry->get('/v2/_hooks')->content =~ m{"output":"deploying team/app:latest, sha256} }), '... and gets it');
};

subtest 'who deleted a tag' => sub {
    is_status($registry->delete('/v2/team/app/manifests/1.0'), 202, 'a deletion');
    my $out = typed('WHO DELETED A TAG');
    like($out, qr/\A\d+\t.*\bann\b/, 'the history tells who');
    is_status($registry->get('/v2/team/app/manifests/1.0'), 200, 'the tag is back');
};

subtest 'a backup' => sub {
    my $out = typed('BACK UP AND PUT BACK', to => qr/^systemctl stop/);
    like($out, qr/^\d{8}T\d{6}Z/m, 'it is listed');
    is_status($registry->delete('/v2/team/app/manifests/latest'), 202, 'then something is lost');
    $registry->stop;
    spew("$root/$_.done", '') for 'stop', 'start';
    like(typed('BACK UP AND PUT BACK', from => qr/^systemctl stop/), qr/: 0 findings/, 'it is put back, and whole');
    is(slurp("$root/systemctl.log"), "stop docker-registry-server\nstart docker-registry-server\n", '... with the service stopped');
    start();
    is_status($registry->get('/v2/team/app/manifests/latest'), 200, 'what was lost is there');
    ok(-d "$root/data.before/layers", '... and the former directory, too');
};

subtest 'a push is slow' => sub {
    my $fast = typed('A PUSH IS SLOW');
    like($fast, qr/^registry_pool_busy\{pool="gate"\} \d/m, 'the pools are shown');
    spew("$root/data/hooks/pre-tag", "#!/bin/sh\nsleep 2\n");
    chmod 0755, "$root/data/hooks/pre-tag";
    ok(wait_for(20, sub { -e "$root/data/run/pre-hooks" }), 'a pre-hook that takes long');
    is_status($registry->push_image('team/app', 'slow', [$app]), 201, 'a slow push');
    my ($first) = typed('A PUSH IS SLOW') =~ /\A(.*)\n/;
    my ($seconds, $n, $route) = split ' ', $first;
    is($route, '/v2/{name}/manifests/{reference}', 'the slowest request is the one that waits for it');
    cmp_ok($seconds * $n, '>', 1.9, '... by its time');
    unlink "$root/data/hooks/pre-tag";
    ok(wait_for(20, sub { !-e "$root/data/run/pre-hooks" }), 'it goes');
};

subtest 'a full disk' => sub {
    ok($registry->blob_files(digest($old)), 'a layer that nobody needs');
    my $out = typed('THE DISK IS FULL');
    like($out, qr/^\s*\S+ \wB +\S+ \wB +team\/old$/m, 'its repository is among those that take the most');
    like($out, qr/^deleted from team\/old: 1 tag, 1 manifest$/m, '... and goes');
    like($out, qr{\s\Q$root\E/data/layers$}m, 'the directories have their sizes');
    ok(wait_for(20, sub { !$registry->blob_files(digest($old)) }), 'its bytes are free');
    is_status($registry->get('/v2/team/app/manifests/latest'), 200, 'what is needed is there');
};

finish();
