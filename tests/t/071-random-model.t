# Two clients at once, ten thousand operations at random on the same tags, manifests and blobs, while garbage is collected
# all the time. A model knows what was acknowledged: whatever two answers come, some order of the two explains them.
#
# REGISTRY_SEED repeats a run (as far as the timing allows), REGISTRY_OPERATIONS is how many (10000).
use v5.36;
use Registry limit => 300;
use Registry::Checks;
use Registry::Tools;
use JSON::PP ();
use Test::More;
use Time::HiRes qw(time);

my $seed       = $ENV{REGISTRY_SEED}       // int(time * 1000) % 1_000_000;
my $operations = $ENV{REGISTRY_OPERATIONS} // 10_000;
srand $seed;
note("REGISTRY_SEED=$seed");

my $LEASE  = 2;      # seconds
my $SLACK  = 0.5;    # clocks and rounding
my $N      = 96;     # blobs, and as many manifests
my $WINDOW = 12;     # most operations are on so many; the others' leases run out in between
my @REPOS  = ('rand/one', 'rand/two');
my @TAGS   = qw(latest v1 v2);
my %TYPE   = %Registry::Client::TYPE;
my $registry = Registry->start(args => [ '--lease', "${LEASE}s", '--history-keep', '0', '--gc-interval', '1s' ]);

# ---- what there is to push ----

my @blobs       = map { "blob $_ of $seed: " . 'x' x ($_ * 7 % 300) } 0 .. $N - 1;
my @blob_digest = map { digest($_) } @blobs;
my %blob_number = map { $blob_digest[$_] => $_ } 0 .. $N - 1;
my (@manifests, @manifest_digest, @kind, @subject);

# By number: an image, another, an artifact whose subject is an image, an index of an image and an artifact.
for my $i (0 .. $N - 1) {
    $kind[$i] = (qw(image image artifact index))[ $i % 4 ];
    my %common = (schemaVersion => 2, annotations => { number => "$i" });
    my $child  = sub ($j) { return { mediaType => $TYPE{manifest}, digest => $manifest_digest[$j], size => length $manifests[$j] } };
    if ($kind[$i] eq 'index') {
        $common{mediaType} = $TYPE{index};
        $common{manifests} = [ map { $child->($_) } parts_of($i) ];
    } else {
        my ($config, @layers) = map { $registry->descriptor('layer', $blobs[$_]) } parts_of($i);
        %common = (%common, mediaType => $TYPE{manifest}, config => $config, layers => \@layers);
        $subject[$i] = $i - 2 if $kind[$i] eq 'artifact';
        $common{subject} = $child->($i - 2) if $kind[$i] eq 'artifact';
    }
    push @manifests, json_of(\%common);
    push @manifest_digest, digest($manifests[$i]);
}
my %manifest_number = map { $manifest_digest[$_] => $_ } 0 .. $N - 1;

# Numbers of blobs, or of manifests for an index.
sub parts_of ($i) { return $kind[$i] eq 'index' ? ($i - 2, $i - 1) : map { ($i + $_) % $N } 0 .. 2 }

# ---- the model ----
#
# A state is a hash: "m REPO I" is there when manifest I is in it, "t REPO TAG" is the manifest that the tag names, and
# "b REPO I" tells until when blob I is sure to be there, when no manifest of the repository needs it; later it may be.

sub is_kept ($s, $r, $b) {
    return scalar grep { my $i = ($b - $_) % $N; $kind[$i] ne 'index' && $s->{"m $r $i"} } 0 .. 2;
}

# 2: it is there; 1: perhaps; 0: it isn't. What counts is that it was sure until the answer came.
sub level ($s, $r, $b, $op) {
    return 2 if is_kept($s, $r, $b);
    my $until = $s->{"b $r $b"} // return 0;
    return $until > $op->{received} ? 2 : 1;
}

sub lease ($s, $r, $b, $op, $seconds = $LEASE) {
    my $until = $op->{sent} + $seconds - $SLACK;
    $s->{"b $r $b"} = $until if ($s->{"b $r $b"} // 0) < $until;
    return 1;
}

sub gone ($s, $r, $b) { delete $s->{"b $r $b"}; return 1 }

# Each says whether the answer can be, in that state, and makes the state what it is then.
my %MODEL = (
    push => sub ($s, $op) { return $op->{status} == 201 && lease($s, @$op{qw(repo n)}, $op) },
    head => sub ($s, $op) {
        my ($r, $b) = @$op{qw(repo n)};
        my $level = level($s, $r, $b, $op);
        # a lease of which more than half is left isn't renewed
        return $level > 0 && (is_kept($s, $r, $b) || lease($s, $r, $b, $op, $LEASE / 2)) if $op->{status} == 200;
        return $op->{status} == 404 && $level < 2 && gone($s, $r, $b);
    },
    get => sub ($s, $op) {
        my $level = level($s, @$op{qw(repo n)}, $op);
        return $level > 0 && $op->{content} eq $blobs[ $op->{n} ] if $op->{status} == 200;
        return $op->{status} == 404 && $level < 2 && gone($s, @$op{qw(repo n)});
    },
    mount => sub ($s, $op) {
        my ($r, $b) = @$op{qw(repo n)};
        my @from   = defined $op->{from} ? $op->{from} : @REPOS;
        my @levels = map { level($s, $_, $b, $op) } @from;
        return scalar(grep { $_ > 0 } @levels) && lease($s, $r, $b, $op) if $op->{status} == 201;
        return 0 if $op->{status} != 202 || grep { $_ == 2 } @levels;
        gone($s, $_, $b) for @from;
        return 1;
    },
    delete_blob => sub ($s, $op) {
        my ($r, $b) = @$op{qw(repo n)};
        return is_kept($s, $r, $b) if $op->{status} == 405;
        my $level = level($s, $r, $b, $op);
        return !is_kept($s, $r, $b) && $level > 0 && gone($s, $r, $b) if $op->{status} == 202;
        return $op->{status} == 404 && $level < 2 && gone($s, $r, $b);
    },
    put => sub ($s, $op) {
        my ($r, $i) = @$op{qw(repo n)};
        my $index  = $kind[$i] eq 'index';
        my $levels = sub ($p) { return $index ? ($s->{"m $r $p"} ? 2 : 0) : level($s, $r, $p, $op) };
        if ($op->{status} == 404) {    # names all that is missing, and nothing else
            my %missing = map { ($index ? $manifest_number{$_} : $blob_number{$_}) // -1, 1 } @{ $op->{missing} };
            return 0 if !%missing || grep { $levels->($_) == ($missing{$_} ? 2 : 0) } parts_of($i);
            if (!$index) { gone($s, $r, $_) for keys %missing }
            return 1;
        }
        return 0 if $op->{status} != 201 || grep { !$levels->($_) } parts_of($i);
        $s->{"m $r $i"} = 1;
        $s->{"t $r $op->{tag}"} = $i if defined $op->{tag};
        return 1;
    },
    delete_tag => sub ($s, $op) {
        my $there = defined delete $s->{"t $op->{repo} $op->{tag}"};
        return $op->{status} == ($there ? 202 : 404);
    },
    delete_manifest => sub ($s, $op) {
        my ($r, $i) = @$op{qw(repo n)};
        my $there = delete $s->{"m $r $i"};
        return $op->{status} == 404 if !$there;
        for my $tag (@TAGS) { delete $s->{"t $r $tag"} if ($s->{"t $r $tag"} // -1) == $i }
        if ($kind[$i] ne 'index') { is_kept($s, $r, $_) || lease($s, $r, $_, $op) for parts_of($i) }
        return $op->{status} == 202;
    },
    get_tag => sub ($s, $op) {
        my $i = $s->{"t $op->{repo} $op->{tag}"};
        return $op->{status} == 404 if !defined $i;
        return $op->{status} == 200 && $op->{content} eq $manifests[$i];
    },
    get_manifest => sub ($s, $op) {
        return $op->{status} == 404 if !$s->{"m $op->{repo} $op->{n}"};
        return $op->{status} == 200 && $op->{content} eq $manifests[ $op->{n} ];
    },
    list => sub ($s, $op) {
        return $op->{status} == 200 && "@{ $op->{json}{tags} }" eq join ' ', sort grep { defined $s->{"t $op->{repo} $_"} } @TAGS;
    },
    referrers => sub ($s, $op) {
        my $want = $s->{"m $op->{repo} " . ($op->{n} + 2)} ? $manifest_digest[ $op->{n} + 2 ] : '';
        return $op->{status} == 200 && join(' ', map { $_->{digest} } @{ $op->{json}{manifests} }) eq $want;
    },
);

sub after ($state, @ops) {
    my %s = %$state;
    $MODEL{ $_->{op} }->(\%s, $_) || return undef for @ops;
    return \%s;
}

sub canonical ($s) { return join "\n", map { "$_=$s->{$_}" } sort keys %$s }

# All states that there may be after two operations whose order nobody knows.
sub step ($states, @ops) {
    my (%seen, @next);
    for my $state (@$states) {
        my @ends = grep { defined } after($state, @ops), @ops > 1 ? after($state, reverse @ops) : ();
        push @next, grep { !$seen{ canonical($_) }++ } @ends;
    }
    return \@next;
}

# ---- operations ----

my @connections = map { $registry->connect } 1, 2;
my $round = 0;

sub blob_path ($op) { return "/v2/$op->{repo}/blobs/$blob_digest[ $op->{n} ]" }

my %REQUEST = (
    push  => sub ($op) { return ('POST', "/v2/$op->{repo}/blobs/uploads/?digest=$blob_digest[ $op->{n} ]", $blobs[ $op->{n} ]) },
    head  => sub ($op) { return ('HEAD', blob_path($op)) },
    get   => sub ($op) { return ('GET', blob_path($op)) },
    mount => sub ($op) {
        my $from = defined $op->{from} ? "&from=$op->{from}" : '';
        return ('POST', "/v2/$op->{repo}/blobs/uploads/?mount=$blob_digest[ $op->{n} ]$from", '');
    },
    delete_blob     => sub ($op) { return ('DELETE', blob_path($op)) },
    put             => sub ($op) { return ('PUT', "/v2/$op->{repo}/manifests/" . ($op->{tag} // $manifest_digest[ $op->{n} ]), $manifests[ $op->{n} ]) },
    delete_tag      => sub ($op) { return ('DELETE', "/v2/$op->{repo}/manifests/$op->{tag}") },
    get_tag         => sub ($op) { return ('GET', "/v2/$op->{repo}/manifests/$op->{tag}") },
    delete_manifest => sub ($op) { return ('DELETE', "/v2/$op->{repo}/manifests/$manifest_digest[ $op->{n} ]") },
    get_manifest    => sub ($op) { return ('GET', "/v2/$op->{repo}/manifests/$manifest_digest[ $op->{n} ]") },
    list            => sub ($op) { return ('GET', "/v2/$op->{repo}/tags/list") },
    referrers       => sub ($op) { return ('GET', "/v2/$op->{repo}/referrers/$manifest_digest[ $op->{n} ]") },
);
my %WEIGHT = (push => 22, head => 8, get => 8, mount => 12, delete_blob => 6, put => 18, delete_tag => 5, get_tag => 5,
    delete_manifest => 12, get_manifest => 3, list => 2, referrers => 2);
my @CHOICES = map { ($_) x $WEIGHT{$_} } sort keys %WEIGHT;

sub any (@of) { return $of[ rand @of ] }

sub choose () {
    my $start = int($round / 150) * ($WINDOW / 2);
    my $n     = rand() < 0.7 ? ($start + int rand $WINDOW) % $N : int rand $N;
    my %op    = (op => any(@CHOICES), repo => any(@REPOS), n => $n);
    $op{from} = any(undef, @REPOS) if $op{op} eq 'mount';
    $op{tag}  = $op{op} eq 'put' ? any(undef, @TAGS) : any(@TAGS);
    $op{n} -= $op{n} % 4 if $op{op} eq 'referrers';    # an image that has one
    return \%op;
}

sub send_op ($connection, $op) {
    my ($method, $path, $body) = $REQUEST{ $op->{op} }->($op);
    my %headers = defined $body ? ('Content-Length' => length $body) : ();
    $headers{'Content-Type'} = $kind[ $op->{n} ] eq 'index' ? $TYPE{index} : $TYPE{manifest} if $op->{op} eq 'put';
    $op->{method} = $method;
    $op->{sent}   = time;
    $connection->send($registry->head_of($method, $path, headers => \%headers, keep => 1) . ($body // ''));
    return;
}

sub receive ($connection, $op) {
    my $response = $connection->response($op->{method});
    @$op{qw(received status content json)} = (time, $response->status, $response->content, $response->json);
    $op->{missing} = [ map { $_->{detail}{digest} } @{ $op->{json}{errors} } ] if $op->{op} eq 'put' && $op->{status} == 404;
    push @{ $op->{left} }, $registry->place_of($response) if $op->{op} eq 'mount' && $op->{status} == 202;
    return;
}

sub shown ($op) {
    my %op = %$op;
    $op{content} = substr $op{content} // '', 0, 200;
    delete $op{json};
    return JSON::PP->new->canonical->allow_nonref->encode(\%op);
}

# Both are sent before either answer is read. Returns the states that are left.
sub run_pair ($states, @ops) {
    my @order = rand() < 0.5 ? (0 .. $#ops) : reverse 0 .. $#ops;
    send_op($connections[$_], $ops[$_]) for @order;
    receive($connections[$_], $ops[$_]) for @order;
    # an upload that wasn't wanted
    $registry->request('DELETE', $_, on => $connections[0]) for map { @{ $_->{left} // [] } } @ops;
    return step($states, @ops);
}

# ---- the run ----

for my $r (@REPOS) {    # the repositories are there from the beginning
    my $empty = json_of({ schemaVersion => 2, mediaType => $TYPE{index}, manifests => [] });
    is_status($registry->put_manifest($r, digest($empty), $empty), 201, "$r is made");
}
my $states  = [ {} ];
my $most    = 1;
my %answers;
my @failed;
while (2 * $round < $operations && !@failed) {
    my @ops    = (choose(), choose());
    my $next   = run_pair($states, @ops);
    @failed = @ops if !@$next;
    $states = $next;
    $answers{"$_->{op} $_->{status}"}++ for @ops;
    $most = @$states if @$states > $most;
    $round++;

    # what is not known is looked up before it becomes too much
    if (@$states > 8) {
        for my $r (@REPOS) {
            for my $tag (@TAGS) {
                my %op = (op => 'get_tag', repo => $r, tag => $tag, n => 0);
                $states = run_pair($states, \%op);
                @failed = ({ state => 'looking it up' }, \%op) if !@$states && !@failed;
            }
        }
    }
}
ok(!@failed, "$operations operations, and each answer is explained") or diag(join "\n", "REGISTRY_SEED=$seed, round $round", map { shown($_) } @failed);
note("$_: $answers{$_}") for sort keys %answers;
note("at most $most states at a time, now " . scalar @$states);

if (!@failed) {
    my @missing = grep { !$answers{$_} } 'push 201', 'head 200', 'head 404', 'get 200', 'get 404', 'mount 201', 'mount 202', 'put 201', 'put 404',
        'delete_blob 202', 'delete_blob 404', 'delete_blob 405', 'delete_tag 202', 'delete_manifest 202', 'get_tag 200', 'list 200';
    is_deeply(\@missing, [], 'each kind of answer has come') if $operations >= 2000;

    # Each by each, now that nobody else asks: what the model says is there comes byte for byte.
    for my $r (@REPOS) {
        for my $op ((map { { op => 'get_manifest', repo => $r, n => $_ } } 0 .. $N - 1), (map { { op => 'get', repo => $r, n => $_ } } 0 .. $N - 1),
            (map { { op => 'get_tag', repo => $r, tag => $_, n => 0 } } @TAGS), { op => 'list', repo => $r, n => 0 })
        {
            $states = run_pair($states, $op);
            last if !@$states && (push @failed, $op);
        }
    }
    ok(!@failed, 'all that is there in the end can be read, and nothing else') or diag(map { shown($_) } @failed);
}

# ---- what is left ----

SKIP: {
    skip 'the model has lost its way', 2 if @failed;
    my $s = $states->[0];
    my %needed;
    for my $b (0 .. $N - 1) {
        $needed{ $blob_digest[$b] =~ s/.*://r } = 1 if grep { is_kept($s, $_, $b) } @REPOS;
    }
    cmp_ok(scalar keys %needed, '>', 0, scalar(keys %needed) . " blobs are needed, " . ($N - keys %needed) . " aren't");
    # Files that nothing needs, and second ones of a blob that went and came back.
    my $unneeded = sub {
        my %seen;
        return grep { my ($hex) = m{/([0-9a-f]{64})\.}; !$needed{$hex} || $seen{$hex}++ } $registry->files('layers');
    };
    # a file goes a minute after its record, which goes a lease after its last use
    ok(wait_for(120, sub { !$unneeded->() }), 'layers/ holds nothing that nothing needs') or diag(join "\n", $unneeded->());
    is(scalar($registry->files('layers')), scalar(keys %needed), '... and all that is needed');
    for my $r (@REPOS) {
        my @lost = grep { is_kept($s, $r, $_) && $registry->get("/v2/$r/blobs/$blob_digest[$_]")->content ne $blobs[$_] } 0 .. $N - 1;
        is_deeply(\@lost, [], "$r has its blobs after all of that");
    }
}
is_tidy($registry);
is_sound($registry);
finish();
